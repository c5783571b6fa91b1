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
        let sum = 0;
        let count = 0;
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
            element("span", { className: "head-name" }, `head ${h}`),
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
    const focused = document.activeElement.dataset.head; // the new row is to have it again
    byId("head-rows").replaceChildren(...rows);
    rows[focused]?.focus({ preventScroll: true });
}
