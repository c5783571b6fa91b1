"use strict";
// Every head of a layer at once: where each looks from the chosen token, and what it mostly does.

const NAMED_FROM = 0.4; // a head is named for what gets so much of its attention
const LISTED = 3; // tokens that a head looks at most

/** What heads are known to do, each as the places that token t would then look at. */
const KINDS = [
    { name: "the token before", where: (ids, t) => (t >= 1 ? [t - 1] : []), from: 2 },
    { name: "the first token", where: (ids, t) => [0], from: 2 },
    { name: "itself", where: (ids, t) => [t], from: 2 },
    { name: "the same token, earlier", where: (ids, t) => placesOf(ids, ids[t], t), from: 1 },
    {
        name: "what followed the same token (induction)",
        where: (ids, t) =>
            placesOf(ids, ids[t], t)
                .map((j) => j + 1)
                .filter((j) => j < t),
        from: 1,
    },
];

function placesOf(ids, id, before) {
    const places = [];
    for (let j = 0; j < before; j++) if (ids[j] === id) places.push(j);
    return places;
}

const kinds = new Map(); // of the text that is shown

/** {name, share}: the kind that gets most of a head's attention, averaged over the tokens. */
function kindOf(source, layer, head) {
    const key = `${layer} ${head}`;
    if (!kinds.has(key)) kinds.set(key, findKind(source, layer, head));
    return kinds.get(key);
}

function findKind(source, layer, head) {
    const n = Math.min(source.ids.length, 256); // enough to know a head by
    let best = { name: "", share: 0 };
    for (const { name, where, from } of KINDS) {
        let sum = 0,
            count = 0;
        for (let t = from; t < n; t++) {
            const places = where(source.ids, t);
            if (places.length === 0) continue;
            const weights = source.weights(layer, head, t);
            sum += places.reduce((total, j) => total + weights[j], 0);
            count++;
        }
        if (count >= 2 && sum / count > best.share) best = { name, share: sum / count };
    }
    return best.share >= NAMED_FROM ? best : { name: "", share: 0 };
}

/** A row for each head of the layer: name, strip, the tokens that it looks at most. */
function showHeads(source, t, layer, head, choose) {
    const rows = Array.from({ length: ABOUT.heads }, (_, h) => {
        const weights = source.weights(layer, h, t);
        const most = falling(weights)
            .slice(0, LISTED)
            .filter((j) => weights[j] >= NUMBER_FROM);
        const strip = element("span", { className: "strip", "aria-hidden": "true" });
        strip.append(stripOf(weights, source.ids.length));
        const kind = kindOf(source, layer, h);
        const row = element(
            "button",
            { type: "button", className: "head-row", onclick: () => choose(h) },
            element("span", { className: "head-name" }, `head ${h + 1}`),
            strip,
            element(
                "span",
                { className: "most" },
                ...most.flatMap((j) => [
                    element(
                        "span",
                        { className: "looked" },
                        tokenElement(source.ids[j]),
                        element("span", { className: "number" }, ` ${percent(weights[j])}`),
                    ),
                    " ",
                ]),
            ),
            element(
                "span",
                { className: "kind" },
                kind.name ? `on average ${(kind.share * 100).toFixed(0)} % on ${kind.name}` : "",
            ),
        );
        row.setAttribute("aria-pressed", h === head);
        row.dataset.head = h;
        return row;
    });
    byId("head-rows").replaceChildren(...rows);
}

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
            const share = shareAt(x, y),
                d = share === null ? 0 : depth(share);
            const under = share === null ? unseen : paper;
            for (let c = 0; c < 3; c++) image.data[i + c] = under[c] + d * (ink[c] - under[c]);
            image.data[i + 3] = 255;
        }
    }
}

// ── all heads of all layers ──────────────────────────────────────────────────────────────────────

const GAP = 3;

/** Every head's whole map, small: a column for each layer, a row for each head. */
class AllHeads {
    constructor(choose) {
        this.canvas = byId("all");
        this.maps = new Map(); // (layer, head) -> a small canvas, drawn when there is time
        this.canvas.onclick = (event) => {
            const [layer, head] = this.at(event);
            if (layer >= 1 && layer <= ABOUT.layers && head >= 0 && head < ABOUT.heads)
                choose(layer, head);
        };
    }

    at(event) {
        const step = this.side + GAP;
        return [
            Math.floor((event.offsetX - this.left) / step) + 1,
            Math.floor((event.offsetY - this.top) / step),
        ];
    }

    /** Forget the maps of another text, or of other colours. */
    reset(source) {
        this.source = source;
        this.maps.clear();
        clearTimeout(this.later);
    }

    show(layer, head) {
        this.left = 26;
        this.top = 20;
        const room = byId("all-frame").clientWidth - this.left;
        this.side = Math.max(14, Math.min(72, Math.floor(room / ABOUT.layers) - GAP));
        const step = this.side + GAP;
        this.context = prepared(
            this.canvas,
            this.left + step * ABOUT.layers,
            this.top + step * ABOUT.heads,
        );
        this.chosen = [layer, head];
        this.context.font = "11px system-ui, sans-serif";
        this.context.fillStyle = color("--muted");
        this.context.textAlign = "center";
        const every = this.side < 16 ? 2 : 1;
        for (let l = 1; l <= ABOUT.layers; l += every)
            this.context.fillText(l, this.left + (l - 1) * step + this.side / 2, 13);
        this.context.textAlign = "right";
        for (let h = 0; h < ABOUT.heads; h++)
            this.context.fillText(h + 1, this.left - 6, this.top + h * step + this.side / 2 + 4);
        this.drawSome();
    }

    /** Draw what fits into a few milliseconds, and go on when the page has had its turn. */
    drawSome() {
        clearTimeout(this.later);
        const step = this.side + GAP,
            until = performance.now() + 12;
        for (let l = 1; l <= ABOUT.layers; l++) {
            for (let h = 0; h < ABOUT.heads; h++) {
                const key = `${l} ${h}`;
                if (!this.maps.has(key)) {
                    if (performance.now() > until) {
                        this.later = setTimeout(() => this.drawSome());
                        return;
                    }
                    this.maps.set(key, mapImage(this.source, l, h, 96));
                }
                const [x, y] = [this.left + (l - 1) * step, this.top + h * step];
                this.context.drawImage(this.maps.get(key), x, y, this.side, this.side);
            }
        }
        this.frame(...this.chosen);
    }

    /** A line around the chosen head, or around all heads of the layer. */
    frame(layer, head) {
        const step = this.side + GAP,
            [first, count] = head === MEAN ? [0, ABOUT.heads] : [head, 1];
        this.context.strokeStyle = color("--ink");
        this.context.lineWidth = 2;
        this.context.strokeRect(
            this.left + (layer - 1) * step - 1,
            this.top + first * step - 1,
            this.side + 2,
            count * step - GAP + 2,
        );
    }
}

/** One head's map as a canvas of a point for each weight, or at most so many in each direction. */
function mapImage(source, layer, head, most = Infinity) {
    const T = source.ids.length,
        n = Math.min(T, most),
        every = T / n;
    const rows = Array.from({ length: n }, (_, y) =>
        source.weights(layer, head, Math.floor(y * every)),
    );
    const image = new ImageData(n, n);
    paint(image, (x, y) => rows[y][Math.floor(x * every)] ?? null);
    const canvas = element("canvas", { width: n, height: n });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
}
