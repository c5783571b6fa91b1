"use strict";
// Weights as pictures: a strip for one token, a map for one head; the deeper, the more.

/** The weights side by side, as wide as the text is long: a token is a column. */
function stripOf(weights, length) {
    const canvas = element("canvas", { width: length, height: 1 });
    const image = new ImageData(length, 1);
    paint(image, (x) => (x < weights.length ? weights[x] : null));
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
}

/** Colour every point of an image by its share; null is a place that cannot be seen. */
function paint(image, shareAt) {
    const [ink, paper, unseen] = ["--accent-rgb", "--paper-rgb", "--unseen-rgb"].map((name) =>
        color(name).split(" ").map(Number),
    );
    for (let y = 0, i = 0; y < image.height; y++) {
        for (let x = 0; x < image.width; x++, i += 4) {
            const share = shareAt(x, y);
            const d = share === null ? 0 : depth(share);
            const under = share === null ? unseen : paper;
            for (let c = 0; c < 3; c++) image.data[i + c] = under[c] + d * (ink[c] - under[c]);
            image.data[i + 3] = 255;
        }
    }
}

/** One head's map as a canvas of a point for each weight, or at most so many in each direction. */
function mapImage(source, layer, head, most = Infinity) {
    const T = source.ids.length;
    const n = Math.min(T, most);
    const every = T / n;
    const rows = Array.from({ length: n }, (_, y) =>
        source.weights(layer, head, Math.floor(y * every)),
    );
    const image = new ImageData(n, n);
    paint(image, (x, y) => rows[y][Math.floor(x * every)] ?? null);
    const canvas = element("canvas", { width: n, height: n });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
}
