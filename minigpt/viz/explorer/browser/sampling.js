"use strict";
// From logits to a token (E12), in minigpt.sampling's order: temperature, top-k, top-p, a draw.

/** zᵢ / T: sharper below 1, flatter above. T = 0 keeps the likeliest, of equal ones the first. */
function applyTemperature(z, T) {
    if (T > 0) return z.map((zi) => zi / T);
    const best = falling(z)[0];
    return z.map((zi, i) => (i === best ? zi : -Infinity));
}

/** Only the k largest logits (Fan et al. 2018); those equal to the last of them stay. */
function topK(z, k) {
    if (k >= z.length) return z;
    const kthLargest = Float64Array.from(z).sort()[z.length - k];
    return z.map((zi) => (zi >= kthLargest ? zi : -Infinity));
}

/** Only the likeliest tokens that together hold the mass p (Holtzman et al. 2020, §3.1). */
function topP(z, mass) {
    if (mass >= 1) return z;
    const p = softmax(z);
    const kept = new Set();
    let before = 0; // what the likelier ones hold: a token stays where that is less than the mass
    for (const i of falling(p)) {
        if (before >= mass) break;
        kept.add(i);
        before += p[i];
    }
    return z.map((zi, i) => (kept.has(i) ? zi : -Infinity));
}

/** The places of an array from its largest number to its smallest; equal ones in order. */
function falling(p) {
    return Array.from(p.keys()).sort((a, b) => p[b] - p[a] || a - b);
}

/** The token i with p₁ + … + pᵢ₋₁ ≤ u < p₁ + … + pᵢ: it is as likely as its interval is long. */
function draw(p, u) {
    let sum = 0;
    let last = 0;
    for (let i = 0; i < p.length; i++) {
        if (p[i] === 0) continue;
        sum += p[i];
        last = i;
        if (u < sum) return i;
    }
    return last; // rounding left the sum a little below 1
}

/** Numbers in [0, 1) that are the same again for the same seed (Mulberry32, Ettinger 2017). */
function randomNumbers(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}
