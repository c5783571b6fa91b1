"use strict";
// The page: one state, everything drawn from it, and the ways to change it.

const recordings = PAYLOAD.texts.map((text) => new Recorded(text));
const live = PAYLOAD.live ? new Live(new GPT(PAYLOAD.live)) : null;
const tokenizer = PAYLOAD.tokenizer ? makeTokenizer(PAYLOAD.tokenizer, PAYLOAD.vocabulary) : null;
const leading = PAYLOAD.tokenizer?.leading ?? []; // what the model reads before every text

const state = {
    text: 0, // which of the recorded texts
    source: recordings[0],
    ids: recordings[0].ids, // all tokens; the model sees the last ones of them
    token: firstToken(recordings[0]), // the one that looks
    hovered: null, // the one that looks for as long as it is hovered
    layer: ABOUT.layers,
    head: MEAN,
};
let chips = [];

const map = new MapView(hover, (t) => set({ token: t, hovered: null }));
const all = new AllHeads((layer, head) => set({ layer, head }));
const writer = live ? new Writer({ write, takeBack, changed: () => writer.show(live) }) : null;

/** At first the last token that has a true next one. */
function firstToken(source) {
    return Math.max(source.ids.length - 2, 0);
}

// ── drawing ──────────────────────────────────────────────────────────────────────────────────────

let isWaiting = false;

/** Draw the state, once before the next picture on the screen. */
function render() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
        isWaiting = false;
        drawAll();
    });
}

function drawAll() {
    const { source, layer, head } = state;
    const T = source.ids.length;
    if (T === 0) return;
    const t = Math.min(state.hovered ?? state.token, T - 1);
    const looking = Math.max(layer, 1);
    showLooks(chips, t, layer === 0 ? null : source.weights(layer, head, t));
    showSentence(t);
    chooseRadio(byId("layers"), layer);
    chooseRadio(byId("heads"), head);
    showLadder(source, t, layer, chooseLayer);
    showBars(source, t, layer);
    byId("heads-heading").replaceChildren(
        `Where each head of ${layerName(looking)} looks from `,
        tokenElement(source.ids[t]),
    );
    showHeads(source, t, looking, head, (h) => set({ head: state.head === h ? MEAN : h }));
    map.show(source, looking, head, t);
    all.show(looking, head);
}

/** A layer as the library counts it, from 0; state.layer is how many the text has come through. */
function layerName(through) {
    return through === 0 ? "the embeddings" : `layer ${through - 1}`;
}

/** The same where there is little room, and in addresses. */
function shortLayerName(through) {
    return through === 0 ? "in" : `${through - 1}`;
}

/** In words: what the chosen token looks at most. */
function showSentence(t) {
    const { source, layer, head } = state;
    const id = source.ids[t];
    if (layer === 0) {
        byId("sentence").replaceChildren(
            "Before the first layer, ",
            tokenElement(id),
            " knows only itself and its place. Step up to see it look.",
        );
        return;
    }
    const weights = source.weights(layer, head, t);
    const most = falling(weights)
        .slice(0, 3)
        .filter((j) => weights[j] >= NUMBER_FROM);
    const who =
        head === MEAN
            ? `the ${ABOUT.heads} heads of ${layerName(layer)} together look`
            : `head ${head} of ${layerName(layer)} looks`;
    byId("sentence").replaceChildren(
        "From ",
        tokenElement(id),
        ` (token ${t + 1}), ${who} most at `,
        ...most.flatMap((j, n) => [
            n ? ", " : "",
            tokenElement(source.ids[j]),
            element("span", { className: "number" }, ` ${percent(weights[j])}`),
        ]),
        ".",
    );
}

/** Lay the page out anew for other tokens. */
function rebuild() {
    chips = buildTokens(state.source.ids, hover, (t) => set({ token: t, hovered: null }));
    kinds.clear();
    all.reset(state.source);
    render();
}

// ── changing the state ───────────────────────────────────────────────────────────────────────────

function set(change) {
    Object.assign(state, change);
    writeHash();
    render();
}

/** Show what token t does for as long as it is pointed at; null: it no longer is. */
function hover(t) {
    if (state.hovered === t) return;
    state.hovered = t;
    render();
}

function chooseLayer(layer) {
    set({ layer: Math.min(Math.max(layer, 0), ABOUT.layers) });
}

function chooseToken(t) {
    set({ token: Math.min(Math.max(t, 0), state.source.ids.length - 1), hovered: null });
    chips[state.token]?.focus();
}

/** Show one of the recorded texts. */
function chooseText(n) {
    const source = recordings[n];
    Object.assign(state, {
        text: n,
        source,
        ids: source.ids,
        token: firstToken(source),
        hovered: null,
    });
    byId("texts").value = n;
    byId("prompt").value = textShown(source.ids);
    say("");
    rebuild();
    return follow(source.ids, source);
}

/**
 * Have the model in this page read other tokens; a recorded text is shown as recorded. False where
 * other tokens came meanwhile.
 */
async function follow(ids, recorded = null) {
    state.ids = ids;
    if (!live || ids.length === 0) return false;
    const seen = ids.slice(-ABOUT.context);
    const started = performance.now();
    const kept = live.common(seen);
    if (!(await live.read(seen))) return false;
    writer.show(live);
    if (recorded) return true;
    Object.assign(state, { source: live, token: seen.length - 1, hovered: null });
    const dropped = ids.length - seen.length;
    say(
        dropped
            ? `The model sees the last ${ABOUT.context} tokens, not the ${dropped} before.`
            : "",
    );
    const read = seen.length - kept;
    const ms = Math.max(1, Math.round(performance.now() - started));
    byId("check").textContent =
        `Computed in this page: ${read} new token${read === 1 ? "" : "s"} in ${ms} ms; ` +
        `what the ${kept} before left behind (keys and values) was kept.`;
    byId("check").dataset.tokens = seen.length;
    rebuild();
    writeHash();
    return true;
}

/** The text of tokens, without what the model reads before every text. */
function textShown(ids) {
    const isLed = leading.every((id, i) => ids[i] === id);
    return decode(isLed ? ids.slice(leading.length) : ids);
}

/** What was typed, as tokens. */
async function typed() {
    writer?.stop();
    const { ids, unknown } = tokenizer.encode(byId("prompt").value);
    ids.unshift(...leading);
    if (ids.length === 0) {
        say("Type something: the model needs a token at least.");
        return;
    }
    const isShown = await follow(ids);
    if (isShown && unknown.length) {
        say(`Left out, as the model never saw them: ${unknown.map(visible).join(" ")}`);
    }
}

function write(id) {
    const ids = [...state.ids, id];
    byId("prompt").value = textShown(ids);
    byId("prompt").scrollTop = byId("prompt").scrollHeight;
    return follow(ids);
}

function takeBack() {
    writer.stop();
    if (state.ids.length < 2) return;
    const ids = state.ids.slice(0, -1);
    byId("prompt").value = textShown(ids);
    follow(ids);
}

/** What this page computes is not what Python recorded: show only that. */
function distrust(difference) {
    live.isWrong = true;
    for (const id of ["typing", "writing"]) byId(id).hidden = true;
    byId("check").textContent =
        `The numbers that this page computes are not those recorded (they differ by up to ` +
        `${difference.toFixed(3)}): only the recorded ones are shown.`;
}

function say(text) {
    byId("note").textContent = text;
}
