"use strict";
// All heads of all layers at once, each as a small map: a column a layer, a row a head.

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
            this.context.fillText(
                shortLayerName(l),
                this.left + (l - 1) * step + this.side / 2,
                13,
            );
        this.context.textAlign = "right";
        for (let h = 0; h < ABOUT.heads; h++)
            this.context.fillText(h, this.left - 6, this.top + h * step + this.side / 2 + 4);
        this.drawSome();
    }

    /** Draw what fits into a few milliseconds, and go on when the page has had its turn. */
    drawSome() {
        clearTimeout(this.later);
        const step = this.side + GAP;
        const until = performance.now() + 12;
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
        const step = this.side + GAP;
        const [first, count] = head === MEAN ? [0, ABOUT.heads] : [head, 1];
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
