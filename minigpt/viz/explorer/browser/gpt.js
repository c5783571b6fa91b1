"use strict";
// The same GPT once more, in the browser: one token at a time, with what earlier tokens left.
//
// A token passes all layers at once, and leaves its keys and values there for those that follow: a
// causal model never has to read it again. Sizes: C features of a token, h heads of d features,
// h_kv heads of keys and values (h, or fewer that are shared), S tokens so far, V the vocabulary.

class GPT {
    /** @param live {config, shapes, weights}: GPTConfig's fields, all parameters in one array */
    constructor({ config, shapes, weights }) {
        this.config = config;
        this.weights = {};
        const numbers = unpack(weights, Float32Array);
        let start = 0;
        for (const [name, shape] of shapes) {
            const size = shape.reduce((a, b) => a * b, 1);
            this.weights[name] = { data: numbers.subarray(start, start + size), shape };
            start += size;
        }
        this.headWidth = config.head_width ?? config.n_embd / config.n_head; // d
        this.keyHeads = config.n_kv_head ?? config.n_head; // h_kv
        const turns = config.positions === "rotary";
        this.angles = turns
            ? rotaryAngles(this.headWidth, config.rotary_base, config.rotary_scaling)
            : null;
    }

    /** What the tokens read so far have left: for each layer their keys and values. */
    newCache() {
        const empty = () => Array.from({ length: this.config.n_layer }, () => []);
        return { keys: empty(), values: empty() };
    }

    /**
     * Read one more token. Returns the residual stream x as the embeddings give it and after each
     * block, n_layer + 1 times (C,), and where the heads look: for each layer and head the scores
     * of the tokens so far, and their softmax, both (S,).
     */
    read(id, cache) {
        const position = cache.keys[0].length; // how many tokens came before
        let x = this.embed(id, position);
        const stream = [x];
        const attention = [];
        for (let layer = 0; layer < this.config.n_layer; layer++) {
            const block = `blocks.${layer}`;
            const looks = [];
            x = this.around(`${block}.attention_norm`, x, (h) =>
                this.attend(h, layer, position, cache, looks),
            );
            x = this.around(`${block}.mlp_norm`, x, (h) => this.mlp(h, `${block}.mlp`));
            stream.push(x);
            attention.push(looks);
        }
        return { stream, attention };
    }

    /** x = E[id] + P[position], or E[id]·√C where positions are not learned   (Vaswani, §3.4) */
    embed(id, position) {
        const { n_embd: C, positions } = this.config;
        const scale = ["sinusoidal", "alibi"].includes(positions) ? Math.sqrt(C) : 1;
        const x = Float64Array.from(this.row("token_embedding", id), (e) => e * scale);
        if (positions === "learned") return this.add(x, this.row("position_embedding", position));
        return positions === "sinusoidal" ? this.add(x, sinusoidalPosition(position, C)) : x;
    }

    /** norm="pre": x + f(LN(x));  "post": LN(x + f(x));  "none": x + f(x) */
    around(norm, x, f) {
        const { norm: place, residual } = this.config;
        const y = f(place === "pre" ? this.normed(norm, x) : x);
        const sum = residual === false ? y : this.add(x, y);
        return place === "post" ? this.normed(norm, sum) : sum;
    }

    /** Concat(head₁, …, head_h) W_out, headᵢ = softmax(qᵢ·K/√d) V over the tokens so far (E9) */
    attend(x, layer, position, cache, looks) {
        const { n_head: h, scale_attention, scale_attention_by_layer } = this.config;
        const d = this.headWidth;
        const name = `blocks.${layer}.attention`;
        const qkv = this.project(`${name}.qkv_proj`, x); // (C,) -> ((h + 2·h_kv)·d,): Q, K, V
        const heads = Array.from({ length: h + 2 * this.keyHeads }, (_, i) =>
            qkv.slice(i * d, (i + 1) * d),
        );
        const queries = heads
            .slice(0, h)
            .map((q) => this.placed(q, `${name}.query_norm`, position));
        const keys = heads
            .slice(h, h + this.keyHeads)
            .map((k) => this.placed(k, `${name}.key_norm`, position));
        cache.keys[layer].push(keys); // S times h_kv heads (d,)
        cache.values[layer].push(heads.slice(h + this.keyHeads));

        let scale = scale_attention === false ? 1 : 1 / Math.sqrt(d);
        if (scale_attention_by_layer) scale /= layer + 1;
        const concat = new Float64Array(h * d);
        queries.forEach((q, head) => {
            const shared = Math.floor(head / (h / this.keyHeads)); // its group's keys
            const slope = this.slope(head);
            const scores = cache.keys[layer].map(
                (k, j) => dot(q, k[shared]) * scale - slope * (position - j),
            );
            const weights = softmax(scores); // (S,)
            weights.forEach((a, j) => {
                const v = cache.values[layer][j][shared];
                for (let i = 0; i < d; i++) concat[head * d + i] += a * v[i];
            });
            looks.push({ scores, weights });
        });
        return this.project(`${name}.out_proj`, concat); // (h·d,) -> (C,)
    }

    /** A query or key as attention compares it: normed with qk_norm, turned by its position. */
    placed(head, norm, position) {
        const normed = this.normed(norm, head, "rms");
        if (this.angles) rotate(normed, position, this.angles);
        return normed;
    }

    /** m = scale·2^(−8·i/h) for head i = 1 … h: how fast it forgets   (Press et al. 2022, §3) */
    slope(head) {
        const { positions, alibi_scale, n_head } = this.config;
        return positions === "alibi" ? alibi_scale * 2 ** ((-8 * (head + 1)) / n_head) : 0;
    }

    /** f(x W_up) W_down, or with a gate (f(x W_gate) ∘ x W_up) W_down   (Shazeer 2020) */
    mlp(x, name) {
        const f = ACTIVATIONS[this.config.activation];
        const up = this.project(`${name}.up_proj`, x); // (C,) -> (n_inner,)
        if (this.config.mlp !== "gated") return this.project(`${name}.down_proj`, up.map(f));
        const gate = this.project(`${name}.gate_proj`, x);
        return this.project(
            `${name}.down_proj`,
            up.map((u, i) => f(gate[i]) * u),
        );
    }

    /** From the residual stream, after any layer, to logits: (C,) -> (V,) */
    unembed(x) {
        const normed = this.normed("final_norm", x); // none where blocks end with their own
        if (this.weights["head.weight"]) return this.project("head", normed);
        const {
            data,
            shape: [V, C],
        } = this.weights["token_embedding.weight"]; // tied: x Eᵀ
        return Float64Array.from({ length: V }, (_, v) => dot(normed, data, v * C));
    }

    normed(name, x, kind = this.config.normalization) {
        const gain = this.weights[`${name}.weight`];
        if (!gain) return x; // norm="none", and qk_norm=False
        const eps = this.config.layer_norm_eps;
        return kind === "rms"
            ? rmsNorm(x, gain, eps)
            : layerNorm(x, gain, this.weights[`${name}.bias`], eps);
    }

    project(name, x) {
        return linear(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
    }

    row(name, i) {
        const {
            data,
            shape: [, C],
        } = this.weights[`${name}.weight`];
        return data.subarray(i * C, (i + 1) * C);
    }

    add(x, y) {
        return x.map((xi, i) => xi + y[i]);
    }
}
