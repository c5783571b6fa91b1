"use strict";
// The next token as each layer would have it ("logit lens", nostalgebraist 2020), and the true one.

const IN_A_ROW = 3; // of the likeliest tokens after each layer

function showLadder(source, t, layer, choose) {
    const rows = Array.from({ length: ABOUT.layers + 1 }, (_, after) => {
        const { likeliest, truth } = source.expected(after, t);
        const tokens = likeliest.slice(0, IN_A_ROW).map(({ id, p }) => {
            const chip = element(
                "span",
                { className: `guess${id === truth?.id ? " true" : ""}`, title: percent(p) },
                tokenElement(id),
            );
            shade(chip, p);
            return chip;
        });
        const row = element(
            "tr",
            { onclick: () => choose(after) },
            element(
                "th",
                { scope: "row" },
                element(
                    "button",
                    { type: "button", tabIndex: -1 },
                    shortLayerName(after),
                ),
            ),
            element("td", {}, ...tokens),
            element(
                "td",
                { className: "true-column" },
                ...(truth
                    ? [
                          element(
                              "span",
                              { className: "track" },
                              element("i", {
                                  className: "amount",
                                  style: `width:${truth.p * 100}%`,
                              }),
                          ),
                          element("span", { className: "number" }, percent(truth.p)),
                          element(
                              "span",
                              { className: "rank", title: "its place among all tokens" },
                              ` #${truth.rank}`,
                          ),
                      ]
                    : ["–"]),
            ),
        );
        row.setAttribute("aria-selected", after === layer);
        row.dataset.layer = after;
        if (truth) Object.assign(row.dataset, { trueP: truth.p, trueRank: truth.rank });
        return row;
    });
    byId("ladder").tBodies[0].replaceChildren(...rows);
}

function showBars(source, t, layer) {
    const { likeliest, truth } = source.expected(layer, t);
    byId("bars-title").replaceChildren(
        layer === 0
            ? "Before the first layer"
            : layer === ABOUT.layers
              ? "After the last layer: what the model predicts"
              : `After ${layerName(layer)}`,
    );
    const bars = likeliest.map(({ id, p }) => bar({ id, p, mark: id === truth?.id ? "true" : "" }));
    if (truth && !likeliest.some(({ id }) => id === truth.id)) {
        bars.push(
            bar({ ...truth, mark: "true far", title: `number ${truth.rank} of the vocabulary` }),
        );
    }
    byId("bars").replaceChildren(...bars);
    byId("truth").replaceChildren(
        ...(truth
            ? [
                  "After ",
                  tokenElement(source.ids[t]),
                  " the text goes on with ",
                  element("span", { className: "guess true" }, tokenElement(truth.id)),
              ]
            : [
                  "After ",
                  tokenElement(source.ids[t]),
                  " the text ends: there is no true next token.",
              ]),
    );
}
