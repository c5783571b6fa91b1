"use strict";
// Where the page's numbers come from: recorded by Python, or computed here. Both answer the same.
//
// Layers count from 1, as readers do; "after layer 0" is before the first. Heads count from 0, and
// MEAN is the mean of a layer's heads. Weights and probabilities are numbers from 0 to 1.

const ABOUT = PAYLOAD.about;
const MEAN = ABOUT.heads;
const SHOWN = 10; // of the likeliest next tokens
const UNIT = 10000; // recorded attention is in units of 0.01 %

/** What Python recorded of one text. */
class Recorded {
    constructor(text) {
        this.ids = text.ids;
        this.attention = unpack(text.attention, Uint16Array);
        this.likeliest = unpack(text.likeliest, Int32Array);
        this.probabilities = unpack(text.probabilities, Float32Array);
        this.trueProbability = unpack(text.trueProbability, Float32Array);
        this.trueRank = unpack(text.trueRank, Int32Array);
        this.shown = text.shown;
        this.isLive = false;
    }

    /** Where token t looks: a weight for each place that it sees, 0 … t. */
    weights(layer, head, t) {
        const T = this.ids.length;
        const [perMap, before, seen] = ABOUT.causal
            ? [(T * (T + 1)) / 2, (t * (t + 1)) / 2, t + 1]
            : [T * T, t * T, T];
        const start = ((layer - 1) * (ABOUT.heads + 1) + head) * perMap + before;
        return Float64Array.from(
            this.attention.subarray(start, start + seen),
            (units) => units / UNIT,
        );
    }

    /** What should follow token t, after a layer: {likeliest: [{id, p}], truth: {id, p, rank}}. */
    expected(layer, t) {
        const T = this.ids.length;
        const start = (layer * T + t) * this.shown;
        const likeliest = Array.from({ length: this.shown }, (_, i) => ({
            id: this.likeliest[start + i],
            p: this.probabilities[start + i],
        }));
        const place = layer * (T - 1) + t;
        const truth =
            t + 1 < T
                ? {
                      id: this.ids[t + 1],
                      p: this.trueProbability[place],
                      rank: this.trueRank[place],
                  }
                : null;
        return { likeliest, truth };
    }
}

/** What the GPT in this page computes, token by token, so that the page never hangs. */
class Live {
    constructor(model) {
        this.model = model;
        this.isLive = true;
        this.ids = []; // what is shown, and what the model computed of each token
        this.tokens = [];
        this.cache = model.newCache(); // what is in work: the same for the tokens read so far
        this.readIds = [];
        this.readTokens = [];
        this.turn = 0;
        this.isWrong = false; // computes something else than Python recorded
    }

    /** How many tokens at the beginning were read already: later ones change nothing there. */
    common(ids) {
        let n = 0;
        while (n < Math.min(ids.length, this.readIds.length) && ids[n] === this.readIds[n]) n++;
        return n;
    }

    /** Whether just these tokens were read, and may be asked about. */
    hasRead(ids) {
        return !this.isWrong && ids.length === this.ids.length && this.common(ids) === ids.length;
    }

    /** Read ids, of which only those after the common beginning are new; false if others came. */
    async read(ids) {
        const turn = ++this.turn;
        const n = this.common(ids);
        const { keys, values } = this.cache;
        for (const rows of [this.readIds, this.readTokens, ...keys, ...values]) rows.length = n;
        let pause = performance.now() + 12;
        for (const id of ids.slice(n)) {
            if (performance.now() > pause) {
                await new Promise((resolve) => setTimeout(resolve)); // to draw, and to hear keys
                if (turn !== this.turn) return false;
                pause = performance.now() + 12;
            }
            this.readTokens.push(this.model.read(id, this.cache));
            this.readIds.push(id);
        }
        this.ids = [...this.readIds];
        this.tokens = [...this.readTokens];
        this.answers = new Map();
        return true;
    }

    weights(layer, head, t) {
        const heads = this.tokens[t].attention[layer - 1];
        if (head !== MEAN) return heads[head].weights;
        return heads[0].weights.map(
            (_, j) => heads.reduce((sum, { weights }) => sum + weights[j], 0) / heads.length,
        );
    }

    /** What the softmax made weights of: q·k/√d, for one head. */
    scores(layer, head, t) {
        return this.tokens[t].attention[layer - 1][head].scores;
    }

    logits(layer, t) {
        return this.model.unembed(this.tokens[t].stream[layer]);
    }

    expected(layer, t) {
        const key = `${layer} ${t}`;
        if (!this.answers.has(key)) this.answers.set(key, softmax(this.logits(layer, t)));
        const p = this.answers.get(key);
        const likeliest = falling(p)
            .slice(0, SHOWN)
            .map((id) => ({ id, p: p[id] }));
        const id = this.ids[t + 1];
        const truth =
            t + 1 < this.ids.length
                ? { id, p: p[id], rank: 1 + p.reduce((n, pi) => n + (pi > p[id] ? 1 : 0), 0) }
                : null;
        return { likeliest, truth };
    }
}

const CHECKED = 64; // tokens

/** The largest differences between two sources of a text, at some of its tokens or at all. */
function largestDifference(recorded, live) {
    let weights = 0;
    let probabilities = 0;
    const T = recorded.ids.length;
    for (let t = 0; t < T; t += Math.ceil(T / CHECKED)) {
        for (let layer = 1; layer <= ABOUT.layers; layer++) {
            for (let head = 0; head <= MEAN; head++) {
                const ours = live.weights(layer, head, t);
                recorded
                    .weights(layer, head, t)
                    .forEach((w, j) => (weights = Math.max(weights, Math.abs(w - ours[j]))));
            }
        }
        const p = softmax(live.logits(ABOUT.layers, t));
        for (const { id, p: theirs } of recorded.expected(ABOUT.layers, t).likeliest) {
            probabilities = Math.max(probabilities, Math.abs(theirs - p[id]));
        }
    }
    return { weights, probabilities };
}
