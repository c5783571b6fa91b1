"use strict";
// The map of one head: row by row, where each token looks. It can be saved as vector graphics.

const LABEL = 84; // pixels for the tokens at the left and above
const LONGEST_LABEL = 11;
const LEAST_FOR_LABELS = 9; // pixels of a cell
const LONG = 24; // tokens; with more, or
const MANY_LAYERS = 12; // with more of these, the maps take the whole width

class MapView {
    constructor(look, choose) {
        this.canvas = byId("map");
        this.look = look;
        this.canvas.onmousemove = (event) => this.point(event);
        this.canvas.onmouseleave = () => {
            this.isPointed = false;
            look(null);
        };
        this.canvas.onclick = (event) => {
            const [, row] = this.at(event);
            if (row !== null) choose(row);
        };
        byId("save-map").onclick = () => this.save();
    }

    at(event) {
        const inside = (pixels) => {
            const n = Math.floor((pixels - this.margin) / this.cell);
            return n >= 0 && n < this.source.ids.length ? n : null;
        };
        return [inside(event.offsetX), inside(event.offsetY)];
    }

    point(event) {
        const [column, row] = this.at(event);
        if (column === null || row === null) return;
        this.isPointed = true;
        this.look(row);
        const weight = this.source.weights(this.layer, this.head, row)[column];
        const [asking, seen] = [row, column].map((t) => tokenElement(this.source.ids[t]));
        const said =
            weight === undefined
                ? [asking, " cannot see ", seen, ": it comes later"]
                : [asking, " looks at ", seen, `: ${this.scoreOf(row, column)}${percent(weight)}`];
        byId("map-value").replaceChildren(...said);
    }

    /** "q·k/√d = 2.31, and after the softmax ", where a head's scores are known. */
    scoreOf(t, j) {
        const isKnown = this.head !== MEAN && live?.hasRead(this.source.ids);
        if (!isKnown) return "";
        const score = live.scores(this.layer, this.head, t)[j];
        return `q·k/√d = ${score.toFixed(2)}, and after the softmax over its row `;
    }

    show(source, layer, head, t) {
        Object.assign(this, { source, layer, head });
        const T = source.ids.length;
        byId("maps").classList.toggle("long", T > LONG || ABOUT.layers > MANY_LAYERS);
        const room = Math.min(this.canvas.parentElement.clientWidth, 820);
        this.margin = LABEL;
        this.cell = Math.min(26, (room - this.margin) / T);
        if (this.cell < LEAST_FOR_LABELS) {
            this.margin = 0;
            this.cell = room / T;
        }
        const side = this.cell * T;
        const context = prepared(this.canvas, this.margin + side, this.margin + side);
        context.imageSmoothingEnabled = false;
        const key = `${layer} ${head}`;
        if (
            this.imageOf?.source !== source ||
            this.imageOf.key !== key ||
            this.imageOf.length !== T ||
            this.imageOf.theme !== color("--paper-rgb")
        ) {
            this.imageOf = {
                source,
                key,
                length: T,
                theme: color("--paper-rgb"),
                canvas: mapImage(source, layer, head),
            };
        }
        context.drawImage(this.imageOf.canvas, this.margin, this.margin, side, side);
        if (this.margin) this.drawLabels(context, t);
        context.strokeStyle = color("--ink");
        context.lineWidth = 1.5;
        context.strokeRect(this.margin + 0.75, this.margin + t * this.cell, side - 1.5, this.cell);
        this.canvas.setAttribute(
            "aria-label",
            `Attention map of ${layerName(layer)}, ${headName(head)}`,
        );
        byId("map-title").textContent = `The whole map of ${layerName(layer)}, ${headName(head)}`;
        if (!this.isPointed)
            byId("map-value").textContent =
                "Each row is a token that looks; each column one that is looked at.";
    }

    drawLabels(context, t) {
        context.font = `${Math.min(12, this.cell)}px system-ui, sans-serif`;
        context.textBaseline = "middle";
        this.source.ids.forEach((id, i) => {
            const text = shortened(label(id).text);
            const middle = this.margin + (i + 0.5) * this.cell;
            context.fillStyle = color(i === t ? "--ink" : "--muted");
            context.textAlign = "right";
            context.fillText(text, this.margin - 5, middle);
            context.save();
            context.translate(middle, this.margin - 5);
            context.rotate(-Math.PI / 2);
            context.textAlign = "left";
            context.fillText(text, 0, 0);
            context.restore();
        });
    }

    /** The map as an SVG file: squares, and the tokens as text. */
    save() {
        const blob = new Blob([mapSvg(this.source, this.layer, this.head)], {
            type: "image/svg+xml",
        });
        const link = element("a", {
            href: URL.createObjectURL(blob),
            download: `${layerName(this.layer)} ${headName(this.head)}.svg`.replaceAll(" ", "-"),
        });
        document.body.append(link);
        link.click();
        link.remove();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }
}

function headName(head) {
    return head === MEAN ? "mean of its heads" : `head ${head}`;
}

function shortened(text) {
    const characters = [...text];
    return characters.length <= LONGEST_LABEL
        ? text
        : `${characters.slice(0, LONGEST_LABEL - 1).join("")}…`;
}

function mapSvg(source, layer, head) {
    const cell = 16;
    const side = LABEL + cell * source.ids.length;
    const squares = [];
    const texts = [];
    const tag = (name, attributes, content) => {
        const listed = Object.entries(attributes).map(([key, value]) => ` ${key}="${value}"`);
        return `<${name}${listed.join("")}>${content}</${name}>`;
    };
    source.ids.forEach((id, t) => {
        const name = escapeXml(shortened(label(id).text));
        const y = LABEL + t * cell;
        const turn = `translate(${y + cell / 2 + 4} ${LABEL - 5}) rotate(-90)`;
        texts.push(tag("text", { x: LABEL - 5, y: y + cell / 2 + 4, "text-anchor": "end" }, name));
        texts.push(tag("text", { transform: turn }, name));
        source.weights(layer, head, t).forEach((weight, j) => {
            if (weight < 0.0005) return; // nothing would be seen of it
            const place = { x: LABEL + j * cell, y, width: cell, height: cell };
            const square = { ...place, "fill-opacity": depth(weight).toFixed(3) };
            squares.push(tag("rect", square, tag("title", {}, percent(weight))));
        });
    });
    const size = { width: side, height: side };
    return tag(
        "svg",
        {
            xmlns: "http://www.w3.org/2000/svg",
            ...size,
            "font-family": "sans-serif",
            "font-size": 12,
        },
        tag("title", {}, `${layerName(layer)}, ${headName(head)}`) +
            tag("rect", { ...size, fill: "white" }, "") +
            tag(
                "g",
                { fill: `rgb(${color("--accent-rgb").replaceAll(" ", ",")})` },
                squares.join(""),
            ) +
            tag("g", { fill: "black" }, texts.join("")),
    );
}

function escapeXml(text) {
    return text.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
