"""A little world in which people walk about, take things, leave them and hand them on.

It keeps for everything that is known the sentences from which it is known, so that an answer comes
with its proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from case_files import pick, shuffled

PEOPLE = ("Nora", "Otto", "Petra", "Quentin", "Rosa", "Samuel", "Tilda", "Victor")
PLACES = ("attic", "cellar", "garden", "kitchen", "library", "garage", "stable", "workshop")
THINGS = ("lantern", "kettle", "umbrella", "hammer", "basket", "violin", "map", "cushion")

WENT = ("went to", "walked to", "hurried to", "came to")
TOOK = ("took", "picked up", "fetched")
LEFT = ("left", "dropped", "put down")
GAVE = ("gave", "handed", "passed")

Facts = frozenset[int]  # numbers of sentences


@dataclass(frozen=True)
class Question:
    """What may be asked at the end of a story, the answer, and the sentences that prove it."""

    text: str
    answer: str
    facts: tuple[int, ...]


@dataclass
class Stay:
    """A thing is, or was, at a place, and how one knows."""

    place: str
    facts: Facts


class World:
    """A few people, places and things; nobody is anywhere until the story says so.

    Example:
        >>> world = World(np.random.default_rng(0))
        >>> world.move("Nora", "attic")
        >>> world.take("Nora", "kettle")
        >>> world.move("Nora", "garden")
        >>> world.stays["kettle"][-1]
        Stay(place='garden', facts=frozenset({1, 2}))
    """

    def __init__(self, rng: np.random.Generator, n_people: int = 3, n_things: int = 3) -> None:
        self.rng = rng
        self.people = shuffled(rng, PEOPLE)[:n_people]
        self.places = shuffled(rng, PLACES)[:6]
        self.things = shuffled(rng, THINGS)[:n_things]
        self.sentences: list[str] = []
        self.where: dict[str, Stay] = {}  # of people: one sentence says it
        self.holder: dict[str, str] = {}  # of things that somebody has
        self.since: dict[str, int] = {}  # the sentence in which the holder got it
        self.stays: dict[str, list[Stay]] = {}  # of things: all their places, the present one last

    def go_on(self) -> None:
        """One more thing happens, of those that can."""
        person = pick(self.rng, self.people)
        chance = self.rng.random()
        if person in self.where:
            here = self.where[person].place
            has = [thing for thing, holder in self.holder.items() if holder == person]
            company = [p for p, stay in self.where.items() if p != person and stay.place == here]
            # What has not been seen yet may be anywhere, and so here.
            found = [
                thing
                for thing in self.things
                if thing not in self.holder
                and (thing not in self.stays or self.stays[thing][-1].place == here)
            ]
            if chance < 0.3 and found:
                return self.take(person, pick(self.rng, found))
            if chance < 0.4 and has:
                return self.leave(person, pick(self.rng, has))
            if chance < 0.55 and has and company:
                return self.give(person, pick(self.rng, company), pick(self.rng, has))
            elsewhere = [place for place in self.places if place != here]
        else:
            elsewhere = self.places
        self.move(person, pick(self.rng, elsewhere))

    def move(self, person: str, place: str) -> None:
        """Somebody goes to a place, and what they have goes with them."""
        fact = self._say(f"{person} {pick(self.rng, WENT)} the {place}.")
        self.where[person] = Stay(place, frozenset({fact}))
        for thing, holder in self.holder.items():
            if holder == person:
                self.stays[thing].append(Stay(place, frozenset({self.since[thing], fact})))

    def take(self, person: str, thing: str) -> None:
        """Somebody takes a thing that is where they are."""
        fact = self._say(f"{person} {pick(self.rng, TOOK)} the {thing}.")
        self._gets(person, thing, fact)

    def give(self, giver: str, person: str, thing: str) -> None:
        """Somebody hands a thing to somebody at the same place."""
        fact = self._say(f"{giver} {pick(self.rng, GAVE)} the {thing} to {person}.")
        self._gets(person, thing, fact)

    def leave(self, person: str, thing: str) -> None:
        """Somebody leaves a thing where they are."""
        fact = self._say(f"{person} {pick(self.rng, LEFT)} the {thing}.")
        del self.holder[thing]
        here = self.where[person]
        self.stays[thing][-1] = Stay(here.place, here.facts | {fact})

    def _say(self, sentence: str) -> int:
        self.sentences.append(sentence)
        return len(self.sentences) - 1

    def _gets(self, person: str, thing: str, fact: int) -> None:
        self.holder[thing] = person
        self.since[thing] = fact
        here = self.where[person]
        stay = Stay(here.place, here.facts | {fact})
        if thing in self.stays:
            self.stays[thing][-1] = stay  # the same place, known from what was said last
        else:
            self.stays[thing] = [stay]

    def questions(self) -> list[Question]:
        """Everything that can be asked now."""
        asked = []
        for person, stay in self.where.items():
            asked.append(_question(f"Where is {person}?", stay.place, stay.facts))
        for thing, person in self.holder.items():
            asked.append(_question(f"Who has the {thing}?", person, frozenset({self.since[thing]})))
        for thing, stays in self.stays.items():
            asked.append(_question(f"Where is the {thing}?", stays[-1].place, stays[-1].facts))
            places = [stay.place for stay in stays]
            for before, stay in pairwise(stays):
                if places.count(stay.place) == 1:  # else "before the attic" is not one time
                    text = f"Where was the {thing} before the {stay.place}?"
                    asked.append(_question(text, before.place, before.facts | stay.facts))
        return asked


def _question(text: str, answer: str, facts: Facts) -> Question:
    return Question(text, answer, tuple(sorted(facts)))
