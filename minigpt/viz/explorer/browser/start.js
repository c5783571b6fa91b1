"use strict";
// Keys and buttons, light and dark, and the beginning: the page checks itself before it is trusted.

byId("tokens").onkeydown = (event) => {
    const steps = {
        ArrowLeft: () => chooseToken(state.token - (byId("tokens").dir === "rtl" ? -1 : 1)),
        ArrowRight: () => chooseToken(state.token + (byId("tokens").dir === "rtl" ? -1 : 1)),
        Home: () => chooseToken(0),
        End: () => chooseToken(state.source.ids.length - 1),
        ArrowUp: () => chooseLayer(state.layer + 1),
        ArrowDown: () => chooseLayer(state.layer - 1),
    };
    if (!steps[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    steps[event.key]();
};
byId("layer-before").onclick = () => chooseLayer(state.layer - 1);
byId("layer-after").onclick = () => chooseLayer(state.layer + 1);
byId("link").onclick = async (event) => {
    event.preventDefault();
    await navigator.clipboard?.writeText(location.href);
    byId("link").textContent = navigator.clipboard ? "Copied" : "It is in the address bar";
    setTimeout(() => {
        byId("link").textContent = "Link to this view";
    }, 1500);
};
byId("texts").onchange = (event) => chooseText(Number(event.target.value));
byId("prompt").oninput = typed;
window.onhashchange = readHash;
window.onresize = render;

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
    document.documentElement.dataset.theme =
        theme === "auto" ? (prefersDark.matches ? "dark" : "light") : theme;
    document.documentElement.dataset.chosen = theme;
    byId("theme-name").textContent = theme;
    readDeepness();
    showLegend();
    all.reset(state.source);
    render();
}
byId("theme").onclick = () =>
    setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.chosen) + 1) % 3]);
prefersDark.onchange = () => setTheme(document.documentElement.dataset.chosen);

/** How deep the shades of some shares are. */
function showLegend() {
    const samples = [0, 0.01, 0.1, 0.3, 1].map((share) => {
        const sample = element("span", { className: "token sample" }, `${share * 100} %`);
        shade(sample, share);
        return sample;
    });
    byId("legend").replaceChildren("looked at: ", ...samples);
}

function start() {
    const n = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
    byId("about").textContent =
        `${n(ABOUT.layers, "layer")} of ${n(ABOUT.heads, "head")} · ` +
        `${n(ABOUT.parameters, "parameter")} · ` +
        (live ? "runs in this page" : "recorded");
    byId("precision").textContent =
        "Recorded numbers are the model's: attention rounded to 0.01 %, probabilities as float32." +
        (ABOUT.whyRecorded ? ` This page is recorded only: ${ABOUT.whyRecorded}.` : "") +
        (ABOUT.whyNoTyping ? ` It does not read what you type: ${ABOUT.whyNoTyping}.` : "");
    radios(
        byId("layers"),
        Array.from({ length: ABOUT.layers + 1 }, (_, l) => ({
            value: l,
            text: shortLayerName(l),
            title: l === 0 ? "the embeddings, before the first layer" : layerName(l),
        })),
        chooseLayer,
    );
    radios(
        byId("heads"),
        [
            { value: MEAN, text: "mean", title: "the mean of the layer's heads" },
            ...Array.from({ length: ABOUT.heads }, (_, h) => ({
                value: h,
                text: `${h}`,
                title: `head ${h}`,
            })),
        ],
        (head) => set({ head }),
    );
    byId("texts-label").hidden = recordings.length < 2;
    byId("texts").append(
        ...recordings.map((one, i) =>
            element("option", { value: i }, decode(one.ids.slice(0, 12)).slice(0, 40)),
        ),
    );
    byId("link").hidden = location.protocol === "about:";
    byId("typing").hidden = !tokenizer;
    byId("writing").hidden = !live;
    document.body.classList.toggle("many", ABOUT.layers > MANY_LAYERS);
    setTheme("auto");
    chooseText(0)
        .then(checkItself)
        .then(readHash)
        .then(() => {
            document.body.dataset.ready = "yes";
        });
}

const TRUSTED = 1e-3; // float32 here and there: beyond, the page computes something else

/** Compare what this page computes with what Python recorded, before it is trusted. */
function checkItself() {
    const [recorded] = recordings;
    if (!live || live.common(recorded.ids) < recorded.ids.length) return; // or typed already
    const { weights, probabilities } = largestDifference(recorded, live);
    Object.assign(byId("check").dataset, { weights, probabilities });
    if (!(Math.max(weights, probabilities) < TRUSTED)) {
        distrust(Math.max(weights, probabilities));
        return;
    }
    byId("check").textContent =
        `Checked: the probabilities that this page computes differ from the recorded ones by ` +
        `${probabilities.toExponential(0)} at most.`;
}

start();
