"""What may be asked in a conversation: requests, their phrasings, and the answers that are right.

Each request has fifteen phrasings or so, of which some are held out to validate and some to test;
words that matter stand in several of them. What a request is about never stands first: without a
space before it, it would be other tokens, which nobody has trained. An answer is right when it is
one of ``answers``, letter for letter.
"""

from __future__ import annotations

from dataclasses import dataclass

NAME = "Minnie"
CAPITALS = {
    "Austria": "Vienna", "Belgium": "Brussels", "Chile": "Santiago", "China": "Beijing",
    "Cuba": "Havana", "Denmark": "Copenhagen", "Egypt": "Cairo", "Finland": "Helsinki",
    "France": "Paris", "Germany": "Berlin", "Greece": "Athens", "Hungary": "Budapest",
    "Iceland": "Reykjavik", "India": "New Delhi", "Ireland": "Dublin", "Italy": "Rome",
    "Japan": "Tokyo", "Kenya": "Nairobi", "Norway": "Oslo", "Peru": "Lima", "Poland": "Warsaw",
    "Portugal": "Lisbon", "Spain": "Madrid", "Sweden": "Stockholm", "Thailand": "Bangkok",
}  # fmt: skip
OPPOSITES = {
    "big": "small", "hot": "cold", "fast": "slow", "high": "low", "old": "new", "light": "dark",
    "full": "empty", "early": "late", "open": "closed", "hard": "soft", "rich": "poor",
    "strong": "weak", "wet": "dry", "loud": "quiet", "near": "far", "wide": "narrow",
}  # fmt: skip
OPPOSITES |= {right: left for left, right in OPPOSITES.items()}
TRAINS = {  # an invented timetable
    "Northfield": "7:05", "Eastham": "7:40", "Westbrook": "8:15", "Ashford": "9:20",
    "Birchwood": "9:55", "Castleton": "10:30", "Dunmore": "12:10", "Fairhaven": "13:45",
    "Greenhill": "15:25", "Kingsley": "16:50", "Lakeside": "18:35", "Marlow": "20:15",
}  # fmt: skip
WORDS = (
    "apple", "bread", "cloud", "dance", "earth", "flower", "garden", "house", "island", "jacket",
    "kettle", "lemon", "music", "night", "ocean", "paper", "queen", "river", "sugar", "table",
    "window", "yellow", "zebra", "bridge", "candle", "dragon", "forest", "guitar", "honey", "milk",
)  # fmt: skip
UNKNOWN = (
    "the weather tomorrow", "the price of bread", "the result of the match", "the size of the moon",
    "the number of stars", "the colour of my coat", "the winner of the race", "the news of today",
    "the age of the queen", "the length of my street",
)  # fmt: skip

# An intent's phrasings; {} stands for what the request is about.
PHRASINGS: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Hello!", "Hello there!", "Hello to you!", "Hello again!", "Hi!", "Hi there!", "Hi again!",
        "Good morning!", "Good morning to you!", "Good evening!", "Good evening to you!",
        "Hello and good morning!", "Hi, good evening!", "Hi to you!", "Hello and good evening!",
        "Hi, good morning!",
    ),
    "name": (
        "What is your name?", "Tell me your name.", "May I ask your name?", "Your name, please.",
        "Please tell me your name.", "Do you have a name?", "What name do you have?",
        "I would like to know your name.", "Can you tell me your name?", "Say your name, please.",
        "What was your name again?", "And your name is?", "Please say your name.",
        "Can you say your name?", "I want to know your name.",
    ),
    "thanks": (
        "Thank you!", "Thank you very much!", "Thanks!", "Thanks a lot!", "Many thanks!",
        "Thank you for the answer!", "Thanks for the answer!", "Thank you so much!",
        "Thanks very much!", "Oh, thank you!", "Oh, thanks!", "Thank you for that!",
        "Thanks so much!", "Many thanks for that!", "Oh, thank you very much!",
    ),
    "capital": (
        "What is the capital of {}?", "Name the capital of {}.", "Tell me the capital of {}.",
        "Which city is the capital of {}?", "The capital of {}, please.",
        "Do you know the capital of {}?", "What is the capital city of {}?",
        "Please name the capital of {}.", "I would like to know the capital of {}.",
        "Can you tell me the capital of {}?", "What do they call the capital of {}?",
        "Which city is {}'s capital?", "What is {}'s capital?", "Please tell me the capital of {}.",
        "Can you name the capital of {}?", "What is the capital of {}, please?",
    ),
    "opposite": (
        "What is the opposite of {}?", "Name the opposite of {}.", "Tell me the opposite of {}.",
        "Which word is the opposite of {}?", "The opposite of {}, please.",
        "Do you know the opposite of {}?", "What is the opposite of the word {}?",
        "Please name the opposite of {}.", "I would like to know the opposite of {}.",
        "Can you tell me the opposite of {}?", "Give me the opposite of {}.",
        "What would be the opposite of {}?", "Please tell me the opposite of {}.",
        "Can you name the opposite of {}?", "What is the opposite of {}, please?",
    ),
    "train": (
        "When does the train to {} leave?", "When does the next train to {} leave?",
        "Tell me when the train to {} leaves.", "At what time does the train to {} leave?",
        "When is the train to {}?", "When is the next train to {}?", "The train to {}, please.",
        "What time is the train to {}?", "I would like to know when the train to {} leaves.",
        "Can you tell me when the train to {} leaves?", "Do you know when the train to {} leaves?",
        "I want to take the train to {}, when does it leave?", "At what time is the train to {}?",
        "Please tell me when the train to {} leaves.",
        "Can you tell me when the next train to {} leaves?",
    ),
    "spell": (
        "Spell {}.", "Spell the word {}.", "How do you spell {}?", "How do you spell the word {}?",
        "Please spell {}.", "Can you spell {}?", "Can you spell the word {}?",
        "Spell {} for me, please.", "I would like you to spell {}.", "Tell me how to spell {}.",
        "Do you know how to spell {}?", "Would you spell {} for me?",
        "Please spell the word {}.", "Spell {}, please.", "Would you spell the word {}?",
    ),
    "echo": (
        "Say {}.", "Please say {}.", "Repeat after me: {}.", "Say after me: {}.",
        "Please repeat after me: {}.", "Can you say {}?", "I would like you to say {}.",
        "Just say {}.", "Say {} for me.", "Would you say {} for me?", "Now say {}.",
        "Now repeat after me: {}.", "Please say after me: {}.", "Now please say {}.",
        "Say {}, please.",
    ),
    "unknown": (
        "What is {}?", "Tell me {}.", "Do you know {}?", "I would like to know {}.",
        "Can you tell me {}?", "Please tell me {}.", "What can you tell me about {}?",
        "Do you know anything about {}?", "Tell me about {}.", "I want to know {}.",
        "Can you say what {} is?", "Would you tell me {}?", "Please tell me about {}.",
        "Would you tell me about {}?", "Do you know what {} is?",
    ),
    "repeat": (
        "Repeat that.", "Please repeat that.", "Say that again.", "Please say that again.",
        "Can you repeat that?", "Can you say that again?", "Once again, please.",
        "Would you repeat that?", "Would you say that again?", "Repeat that once again.",
        "Could you repeat that, please?", "Could you say that once again?",
        "Please repeat that once again.", "Can you repeat that, please?",
        "Would you say that once again?",
    ),
    # After a question about a capital, an opposite or a train: the same about something else.
    "next": (
        "And of {}?", "And {}?", "And what about {}?", "What about {}?", "And for {}?",
        "And now {}.", "And now {}, please.", "And {}, please?", "Now the same for {}.",
        "The same for {}, please.", "And the same for {}?", "What about {} then?",
        "And for {}, please?", "And now for {}.", "And what about {}, please?",
    ),
}  # fmt: skip


SUBJECTS: dict[str, tuple[str, ...]] = {
    "capital": tuple(CAPITALS),
    "opposite": tuple(OPPOSITES),
    "train": tuple(TRAINS),
    "spell": WORDS,
    "echo": tuple(f"{a} and {b}" for a in WORDS for b in WORDS if a != b),
    "unknown": UNKNOWN,
}


@dataclass(frozen=True)
class Request:
    """What a user wants, whatever the words.

    Attributes:
        intent: "greeting", "name", "thanks", "capital", "opposite", "train", "spell", "echo",
            "unknown" or "repeat".
        subject: what it is about: a country, a word, a town, …; of "repeat" the answer before.
    """

    intent: str
    subject: str = ""


def subjects(intent: str) -> tuple[str, ...]:
    """What a request may be about; nothing but "" where it is about nothing.

    Example:
        >>> subjects("capital")[:2], subjects("thanks")
        (('Austria', 'Belgium'), ('',))
    """
    return SUBJECTS.get(intent, ("",))


def answers(request: Request) -> tuple[str, ...]:
    """All answers that are right.

    Raises:
        ValueError: an unknown intent, or a subject that it does not have.

    Example:
        >>> answers(Request("capital", "France"))
        ('The capital of France is Paris.', 'Paris is the capital of France.')
    """
    intent, about = request.intent, request.subject
    if intent == "repeat":
        return (about,)
    if intent not in PHRASINGS or intent == "next":
        raise ValueError(f"there is no intent {intent!r}: expected one of {', '.join(PHRASINGS)}")
    if about not in subjects(intent):
        raise ValueError(f"{intent!r} has no subject {about!r}")
    if intent == "capital":
        city = CAPITALS[about]
        return (f"The capital of {about} is {city}.", f"{city} is the capital of {about}.")
    if intent == "opposite":
        other = OPPOSITES[about]
        return (f"The opposite of {about} is {other}.", f"It is {other}.")
    if intent == "train":
        time = TRAINS[about]
        return (f"The train to {about} leaves at {time}.", f"It leaves at {time}.")
    if intent == "spell":
        return ("-".join(about) + ".", f"{about} is spelt {'-'.join(about)}.")
    if intent == "echo":
        return (f"{about}.",)
    return {
        "greeting": ("Hello! What can I do for you?", "Hello! How can I help you?"),
        "name": (f"My name is {NAME}.", f"I am {NAME}."),
        "thanks": ("You are welcome.", "My pleasure."),
        "unknown": ("Sorry, I do not know that.", "I am sorry, that I do not know."),
    }[intent]


def kind_of_answer(answer: str, request: Request) -> bool:
    """Whether the answer is one of the right ones; white space around it does not count.

    Example:
        >>> kind_of_answer("Paris is the capital of France. ", Request("capital", "France"))
        True
        >>> kind_of_answer("The capital of France is Rome.", Request("capital", "France"))
        False
    """
    return answer.strip() in answers(request)
