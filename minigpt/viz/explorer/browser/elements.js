"use strict";
// Small things that every part of the page is made of.

const byId = (id) => document.getElementById(id);

/** An element with properties and children; texts go in as text, never as HTML. */
function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name in made) made[name] = value;
        else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
}

/** A token in a sentence or a list; its direction is its own. */
function tokenElement(id) {
    const { text, isPart, note } = label(id);
    return element(
        "bdi",
        { className: isPart ? "word part" : "word", title: note },
        ...signs(text),
    );
}

/** The text of a token, with the signs that stand for white space made faint. */
function signs(text) {
    return text
        .split(/([␣⏎⇥␍]+)/u)
        .filter(Boolean)
        .map((piece) =>
            /^[␣⏎⇥␍]/u.test(piece) ? element("span", { className: "sign" }, piece) : piece,
        );
}

/** 0.4251 -> "42.51 %" */
function percent(p) {
    return p > 0 && p < 0.00005 ? "<0.01 %" : `${(p * 100).toFixed(2)} %`;
}

/** How deep a share is shaded: its root, so that small ones can be seen too. */
function depth(share) {
    return Math.sqrt(Math.min(share, 1));
}

let deepFrom; // the depth from which text on a shade is of the other colour, to stay readable

function readDeepness() {
    deepFrom = Number(color("--deep-from"));
}

function shade(target, share) {
    target.style.setProperty("--depth", depth(share).toFixed(3));
    target.classList.toggle("deep", depth(share) > deepFrom);
}

/** A bar of a chart: token, bar, number; `before` is a second bar behind it. */
function bar({ id, p, before, mark = "", title = "", isOut = false }) {
    const item = element(
        "li",
        { className: `bar ${mark}${isOut ? " out" : ""}`, title },
        tokenElement(id),
        element(
            "span",
            { className: "track" },
            ...(before === undefined
                ? []
                : [element("i", { className: "before", style: `width:${before * 100}%` })]),
            element("i", { className: "amount", style: `width:${p * 100}%` }),
        ),
        element("span", { className: "number" }, percent(p)),
    );
    item.dataset.id = id;
    item.dataset.p = p;
    return item;
}

/** Radio buttons of which the arrow keys choose one; `choose` is called with its value. */
function radios(group, options, choose) {
    group.replaceChildren(
        ...options.map(({ value, text, title }) =>
            element(
                "button",
                {
                    type: "button",
                    role: "radio",
                    value,
                    title: title ?? "",
                    onclick: () => choose(value),
                },
                text,
            ),
        ),
    );
    group.onkeydown = (event) => {
        const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const buttons = [...group.children];
        const next = buttons[buttons.indexOf(document.activeElement) + step];
        if (next) {
            choose(options[buttons.indexOf(next)].value);
            next.focus();
        }
    };
}

function chooseRadio(group, value) {
    for (const button of group.children) {
        const isChosen = button.value === String(value);
        button.setAttribute("aria-checked", isChosen);
        button.tabIndex = isChosen ? 0 : -1;
    }
}

/** A canvas of a size in CSS pixels, sharp on every screen, and how to draw on it. */
function prepared(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    return context;
}

function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
