"use strict";
// What may be written next: the probabilities before and after the filters, and a draw.

const CANDIDATES = 12;
const EVERY_TOKEN = 100; // of the slider of top-k: from here on all tokens stay

class Writer {
    /** @param write called with the id of each new token; takeBack without any */
    constructor({ write, takeBack, changed }) {
        this.write = write;
        this.random = randomNumbers(42);
        for (const id of ["temperature", "top-k", "top-p"])
            byId(id).oninput = () => {
                this.read();
                changed();
            };
        byId("write").onclick = () => this.drawOne();
        byId("write-many").onclick = () => (this.left ? this.stop() : this.writeMany(20));
        byId("take-back").onclick = takeBack;
        this.read();
    }

    read() {
        const [temperature, k, p] = ["temperature", "top-k", "top-p"].map((id) =>
            Number(byId(id).value),
        );
        this.options = { temperature, k: k >= EVERY_TOKEN ? Infinity : k, p };
        byId("temperature-value").textContent =
            temperature === 0 ? "0: the likeliest" : temperature.toFixed(2);
        byId("top-k-value").textContent = k >= EVERY_TOKEN ? "all" : k;
        byId("top-p-value").textContent = p >= 1 ? "all" : p.toFixed(2);
    }

    show(source) {
        this.source = source;
        const z = source.logits(ABOUT.layers, source.ids.length - 1);
        const { temperature, k, p } = this.options;
        const before = softmax(z);
        this.after = softmax(topP(topK(applyTemperature(z, temperature), k), p));
        const order = falling(before).slice(0, CANDIDATES);
        const kept = this.after.reduce((n, pi) => n + (pi > 0 ? 1 : 0), 0);
        byId("candidates").replaceChildren(
            ...order.map((id) => {
                const item = bar({
                    id,
                    p: this.after[id],
                    before: before[id],
                    isOut: this.after[id] === 0,
                    title: `${percent(before[id])} before the filters: write this one`,
                });
                item.onclick = () => this.put(id, "You chose ");
                item.onkeydown = ({ key }) => key === "Enter" && item.click();
                item.tabIndex = 0;
                return item;
            }),
        );
        this.showWheel();
        byId("candidates").dataset.kept = kept;
        byId("write").textContent =
            temperature === 0 ? "Write the likeliest token" : "Write the next token";
    }

    /** The kept tokens side by side, as long as they are probable, in the order of a draw. */
    showWheel(u = null) {
        const likely = falling(this.after)
            .slice(0, 40)
            .filter((id) => this.after[id] > 0.004);
        const shares = likely.sort((a, b) => a - b);
        const starts = new Map();
        let sum = 0;
        this.after.forEach((p, id) => {
            starts.set(id, sum);
            sum += p;
        });
        const parts = shares.map((id) => {
            const part = element("span", {
                className: "slice",
                title: percent(this.after[id]),
                style: `left:${starts.get(id) * 100}%;width:${this.after[id] * 100}%`,
            });
            if (this.after[id] > 0.05) part.append(tokenElement(id));
            return part;
        });
        if (u !== null)
            parts.push(element("i", { className: "needle", style: `left:${u * 100}%` }));
        byId("wheel").replaceChildren(...parts);
        byId("wheel").setAttribute(
            "aria-label",
            "The tokens side by side, each as long as it is probable",
        );
    }

    /** Draw a token, show for some time where the needle fell, and write it. */
    async drawOne(ms = 350) {
        if (this.isDrawing) return;
        this.isDrawing = true;
        const u = this.random();
        const id = draw(this.after, u);
        this.showWheel(u);
        await new Promise((resolve) => setTimeout(resolve, ms));
        await this.put(
            id,
            this.options.temperature === 0 ? "The likeliest was " : `u = ${u.toFixed(3)} fell on `,
        );
        this.isDrawing = false;
    }

    put(id, how) {
        byId("drawn").replaceChildren(how, tokenElement(id), ` (${percent(this.after[id])})`);
        return this.write(id);
    }

    async writeMany(n) {
        byId("write-many").textContent = "Stop";
        for (this.left = n; this.left > 0; this.left--) await this.drawOne(100);
        this.stop();
    }

    stop() {
        this.left = 0;
        byId("write-many").textContent = "Write 20";
    }
}
