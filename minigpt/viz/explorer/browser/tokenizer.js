"use strict";
// From a text to ids: characters, or byte pairs (Sennrich et al. 2016; Radford et al. 2019, §2.2).

/** A token is a character; one that the model never saw is named in `unknown`, and left out. */
class CharTokenizer {
    constructor({ characters, unknown }, vocabulary) {
        this.unknownId = unknown;
        this.idOf = new Map(
            vocabulary.slice(0, characters).map((bytes, id) => [textOf(bytes), id]),
        );
    }

    encode(text) {
        const ids = [];
        const unknown = new Set();
        for (const character of text) {
            const id = this.idOf.get(character) ?? this.unknownId;
            if (id === null) unknown.add(character);
            else ids.push(id);
        }
        return { ids, unknown: [...unknown] };
    }
}

// Where a text is split into words: minigpt/tokenizers/bpe/patterns.py has the same in Python, and
// says what they mean. \p{White_Space} is Python's \s; letters of any case are written out.
const [L, N, S] = ["\\p{L}", "\\p{N}", "\\p{White_Space}"];
const CONTRACTION = "'(?:[sdmt]|ll|ve|re)";
const ANY_CASE = "'(?:[sſdmtSDMT]|[lL][lL]|[vV][eE]|[rR][eE])";
const GPT2_END = `${S}+(?![^${S}])|${S}+`;
const GPT4_END = ` ?[^${S}${L}${N}]+[\\r\\n]*|${S}*[\\r\\n]+|${GPT2_END}`;
const GPT4_WORDS = `${ANY_CASE}|[^\\r\\n${L}${N}]?${L}+`;
const SIGNS = ` ?[^${S}${L}${N}]+`;
const PATTERNS = {
    gpt2: `${CONTRACTION}| ?${L}+| ?${N}+|${SIGNS}|${GPT2_END}`,
    gpt4: `${GPT4_WORDS}|${N}{1,3}|${GPT4_END}`,
    "gpt2-single-digits": `${CONTRACTION}| ?${L}+|${N}|${SIGNS}|${S}+(?![^${S}${N}])|${S}+`,
    "gpt4-single-digits": `${GPT4_WORDS}|${N}|${GPT4_END}`,
};

/** A token is a string of bytes: each word begins as its bytes, and known pairs become one. */
class BPETokenizer {
    constructor({ pattern, merges, special, ignoreMerges, normalization }, vocabulary) {
        this.normalization = normalization;
        const added = new Set(special);
        this.idOf = new Map();
        vocabulary.forEach((bytes, id) => {
            if (!added.has(id)) this.idOf.set(bytes, id);
        });
        this.rank = new Map(merges.map(([left, right], r) => [this.pair(left, right), r]));
        this.words = pattern === null ? null : new RegExp(PATTERNS[pattern], "gu");
        this.ignoreMerges = ignoreMerges;
        this.known = new Map(); // words that came before
    }

    /** What a pair is known by: no byte is an arrow. */
    pair(left, right) {
        return `${left}→${right}`;
    }

    encode(text) {
        const ids = [];
        const unknown = [];
        let whole = text.replace(/\p{Surrogate}/gu, "\ufffd"); // half a pair is not a character
        if (this.normalization) whole = whole.normalize(this.normalization);
        for (const word of this.words ? (whole.match(this.words) ?? []) : [whole]) {
            if (!this.known.has(word)) this.known.set(word, this.encodeWord(byteStringOf(word)));
            const tokens = this.known.get(word);
            if (tokens.includes(undefined))
                unknown.push(word); // of a byte that has no token
            else ids.push(...tokens);
        }
        return { ids, unknown };
    }

    /** While there is a pair with a rank, the lowest is merged, and of equal ones the leftmost. */
    encodeWord(bytes) {
        if (this.ignoreMerges && this.idOf.has(bytes)) return [this.idOf.get(bytes)];
        const tokens = [...bytes];
        const rankAt = (i) => this.rank.get(this.pair(tokens[i], tokens[i + 1])) ?? Infinity;
        const ranks = Array.from({ length: Math.max(tokens.length - 1, 0) }, (_, i) => rankAt(i));
        for (;;) {
            let best = 0;
            for (let i = 1; i < ranks.length; i++) if (ranks[i] < ranks[best]) best = i;
            if (ranks.length === 0 || ranks[best] === Infinity) break;
            tokens.splice(best, 2, tokens[best] + tokens[best + 1]);
            ranks.splice(best, 1);
            if (best > 0) ranks[best - 1] = rankAt(best - 1); // the pairs on both sides are new
            if (best < ranks.length) ranks[best] = rankAt(best);
        }
        return tokens.map((token) => this.idOf.get(token));
    }
}

function makeTokenizer(description, vocabulary) {
    const Kind = description.type === "char" ? CharTokenizer : BPETokenizer;
    return new Kind(description, vocabulary);
}
