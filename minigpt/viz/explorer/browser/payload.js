"use strict";
// What the page was given: arrays in base64, and tokens as strings of bytes.

const PAYLOAD = JSON.parse(document.getElementById("payload").textContent);

/** The numbers of an array in base64; every browser is little-endian, as the page's arrays are. */
function unpack(base64, Kind) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new Kind(bytes.buffer);
}

/** "\u00e7" -> the byte E7: each character of the string is one byte. */
function bytesOf(byteString) {
    return Uint8Array.from(byteString, (character) => character.charCodeAt(0));
}

/** A text in UTF-8, as a string of bytes. */
function byteStringOf(text) {
    let result = "";
    for (const byte of new TextEncoder().encode(text)) result += String.fromCharCode(byte);
    return result;
}

/** The text of bytes; what is not a whole character becomes U+FFFD. */
function textOf(byteString) {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(byteString));
}

/** The text of tokens. */
function decode(ids) {
    return textOf(ids.map((id) => PAYLOAD.vocabulary[id] ?? "").join(""));
}

const labels = new Map();

/** How a token is shown: {text, isPart, note}; a part of a character as its bytes, E7 B1. */
function label(id) {
    if (!labels.has(id)) labels.set(id, makeLabel(PAYLOAD.vocabulary[id], id));
    return labels.get(id);
}

function makeLabel(byteString, id) {
    if (byteString === undefined) {
        return { text: `#${id}`, isPart: true, note: "the tokenizer has no such token" };
    }
    if (byteString === "") return { text: "∅", isPart: true, note: `an empty token · id ${id}` };
    try {
        const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
            bytesOf(byteString),
        );
        return { text: visible(text), isPart: false, note: `id ${id}` };
    } catch {
        const hex = [...bytesOf(byteString)].map((b) =>
            b.toString(16).toUpperCase().padStart(2, "0"),
        );
        const note = `${hex.length === 1 ? "a byte" : "bytes"} of a character · id ${id}`;
        return { text: hex.join(" "), isPart: true, note };
    }
}

/** White space and control characters as signs that can be seen. */
function visible(text) {
    return text
        .replace(/ /g, "␣")
        .replace(/\r/g, "␍")
        .replace(/\n/g, "⏎")
        .replace(/\t/g, "⇥")
        .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\p{Cn}\p{Co}]/gu, (c) =>
            c === "\u200d" || c === "\u200c"
                ? c
                : `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
        );
}
