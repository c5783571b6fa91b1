"use strict";
// The text as tokens, each shaded by how much the chosen one looks at it, and arcs to them.

const ARC_FROM = 0.04; // weights below are shaded, but get no arc
const NUMBER_FROM = 0.005; // and below this no number

/** Lay out the tokens of a text; `look` hears which is hovered, `choose` which is chosen. */
function buildTokens(ids, look, choose) {
    const frame = byId("tokens");
    const chips = ids.map((id, t) => {
        const { text, isPart, note } = label(id);
        return element(
            "button",
            {
                type: "button",
                className: "token",
                title: `token ${t + 1}: ${note}`,
                tabIndex: -1,
                onclick: () => choose(t),
                onmouseenter: () => look(t),
                onmouseleave: () => look(null),
            },
            element("bdi", { className: isPart ? "word part" : "word" }, ...signs(text)),
            element("span", { className: "share" }),
        );
    });
    frame.replaceChildren(...chips);
    frame.dir = direction(ids);
    document.body.classList.toggle("rtl", frame.dir === "rtl");
    return chips;
}

const FROM_THE_RIGHT = /[\p{sc=Arab}\p{sc=Hebr}\p{sc=Syrc}\p{sc=Thaa}\p{sc=Nkoo}]/u;

/** The text's direction: that of its first letter. */
function direction(ids) {
    const first = decode(ids).match(/\p{L}/u)?.[0] ?? "";
    return FROM_THE_RIGHT.test(first) ? "rtl" : "ltr";
}

/** Shade the tokens for token t, whose weights are given; null where no layer has looked yet. */
function showLooks(chips, t, weights) {
    chips.forEach((chip, j) => {
        const weight = weights?.[j] ?? 0;
        const isSeen = weights ? j < weights.length : j === t;
        chip.classList.toggle("asking", j === t);
        chip.classList.toggle("unseen", !isSeen);
        chip.setAttribute("aria-pressed", j === t);
        chip.tabIndex = j === t ? 0 : -1;
        chip.dataset.weight = isSeen && weights ? weight : "";
        shade(chip, weight);
        chip.lastChild.textContent =
            isSeen && weight >= NUMBER_FROM ? (weight * 100).toFixed(2) : "";
    });
    drawArcs(chips, t, weights);
}

function drawArcs(chips, t, weights) {
    const svg = byId("arcs");
    svg.replaceChildren();
    const from = chips[t];
    if (!from || !weights) return;
    weights.forEach((weight, j) => {
        if (weight < ARC_FROM || j === t || !chips[j]) return;
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        path.setAttribute("d", arc(from, chips[j]));
        path.setAttribute("stroke-width", (1 + 5 * weight).toFixed(2));
        path.setAttribute("opacity", (0.3 + 0.6 * weight).toFixed(2));
        svg.append(path);
    });
}

/** From the middle of one token's upper edge to the other's: over the line, or up between lines. */
function arc(from, to) {
    const [x1, y1, x2, y2] = [from, to].flatMap((chip) => [
        chip.offsetLeft + chip.offsetWidth / 2,
        chip.offsetTop,
    ]);
    if (y1 === y2) {
        const rise = Math.min(10 + Math.abs(x1 - x2) / 12, 24);
        return `M${x1},${y1} C${x1},${y1 - rise} ${x2},${y1 - rise} ${x2},${y2}`;
    }
    const bottom = y2 + to.offsetHeight; // of the token further up
    const middle = (y1 + bottom) / 2;
    return `M${x1},${y1} C${x1},${middle} ${x2},${middle} ${x2},${bottom}`;
}
