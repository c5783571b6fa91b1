"use strict";
// The equations of a transformer for one token: a vector in, a vector out.

/** y = x W + b, one row of W after the other:  (n,) @ (n, m) -> (m,) */
function linear(x, weight, bias) {
    const W = weight.data;
    const [n, m] = weight.shape;
    const y = bias ? Float64Array.from(bias.data) : new Float64Array(m);
    for (let i = 0; i < n; i++) {
        const xi = x[i];
        const row = i * m;
        for (let j = 0; j < m; j++) y[j] += xi * W[row + j];
    }
    return y;
}

/** a·b = Σᵢ aᵢ bᵢ, where b may begin within a longer array */
function dot(a, b, start = 0) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[start + i];
    return sum;
}

/** pᵢ = exp(zᵢ) / Σⱼ exp(zⱼ); minus the largest, none overflows */
function softmax(z) {
    let largest = -Infinity;
    let sum = 0;
    for (const zi of z) largest = Math.max(largest, zi);
    const p = Float64Array.from(z, (zi) => Math.exp(zi - largest));
    for (const pi of p) sum += pi;
    return p.map((pi) => pi / sum);
}

/** y = γ ∘ (x − μ)/√(σ² + ε) + β   (Ba et al. 2016) */
function layerNorm(x, gain, bias, eps) {
    let mean = 0;
    let variance = 0;
    for (const xi of x) mean += xi / x.length;
    for (const xi of x) variance += (xi - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + eps);
    return x.map((xi, i) => gain.data[i] * (xi - mean) * scale + (bias ? bias.data[i] : 0));
}

/** y = γ ∘ x/√(mean(x²) + ε)   (Zhang & Sennrich 2019) */
function rmsNorm(x, gain, eps) {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
    return x.map((xi, i) => gain.data[i] * xi * scale);
}

/** erf, to 1.5·10⁻⁷   (Abramowitz & Stegun 1964, 7.1.26) */
function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series =
        t *
        (0.254829592 +
            t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const ACTIVATIONS = {
    gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    gelu_erf: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    relu: (x) => Math.max(x, 0),
    relu_squared: (x) => Math.max(x, 0) ** 2,
    silu: (x) => x / (1 + Math.exp(-x)),
    tanh: Math.tanh,
};

/** PE(pos, 2i) = sin(pos/10000^(2i/C)), PE(pos, 2i+1) = cos of it   (Vaswani et al. 2017, §3.5) */
function sinusoidalPosition(position, width) {
    return Float64Array.from({ length: width }, (_, i) => {
        const angle = position / 10000 ** ((i - (i % 2)) / width);
        return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
}

/**
 * The angles by which a step turns the pairs of a head: θᵢ = base^(−2i/d)   (Su et al. 2021);
 * scaled for longer texts: all alike (Chen et al. 2023), or as Llama 3's are.
 */
function rotaryAngles(width, base, scaling) {
    const angles = Float64Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
    if (!scaling) return angles;
    if (scaling.kind === "linear") return angles.map((angle) => angle / scaling.factor);
    return angles.map((angle) => {
        // Llama 3: slow ones are slowed, fast ones stay, between them some
        const turns = (scaling.original_context * angle) / (2 * Math.PI);
        const { low_frequency_factor: low, high_frequency_factor: high, factor } = scaling;
        const kept = Math.min(Math.max((turns - low) / (high - low), 0), 1);
        return kept * angle + (1 - kept) * (angle / factor);
    });
}

/** Each pair (xᵢ, xᵢ₊d/2) turned by position·θᵢ, in place. */
function rotate(head, position, angles) {
    const half = angles.length;
    for (let i = 0; i < half; i++) {
        const cos = Math.cos(position * angles[i]);
        const sin = Math.sin(position * angles[i]);
        const a = head[i];
        const b = head[i + half];
        head[i] = a * cos - b * sin;
        head[i + half] = b * cos + a * sin;
    }
}
