"use strict";
// The view as an address: what stands after its # leads to just this token, layer, head and text.

/** Put the view into the address, after its #. */
function writeHash() {
    const view = new URLSearchParams({
        token: state.token + 1,
        layer: shortLayerName(state.layer),
        head: state.head === MEAN ? "mean" : state.head,
    });
    if (recordings.length > 1) view.set("text", state.text + 1);
    if (state.source.isLive && tokenizer) view.set("say", byId("prompt").value);
    byId("link").href = `#${view}`;
    try {
        history.replaceState(null, "", `#${view}`);
    } catch {
        // in a frame without an address of its own
    }
}

/** Go where an address says; what it says may be anything. */
async function readHash() {
    const view = new URLSearchParams(location.hash.slice(1));
    const number = (name, least, most, otherwise) => {
        const n = Number(view.get(name) ?? NaN);
        return Number.isInteger(n) && n >= least && n <= most ? n : otherwise;
    };
    const text = number("text", 1, recordings.length, 1) - 1;
    const layer = number("layer", 0, ABOUT.layers - 1, state.layer - 1) + 1;
    state.layer = view.get("layer") === shortLayerName(0) ? 0 : layer;
    state.head = number("head", 0, ABOUT.heads - 1, MEAN);
    if (tokenizer && !live.isWrong && view.has("say")) {
        byId("prompt").value = view.get("say");
        await typed();
    } else if (text !== state.text || state.source.isLive) {
        await chooseText(text);
    }
    state.token = number("token", 1, state.source.ids.length, state.token + 1) - 1;
    render();
}
