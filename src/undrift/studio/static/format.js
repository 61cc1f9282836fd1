// Numbers, sizes, times and counts, as the page's language writes them.

import { language, t } from "./languages.js";

// With so many digits behind the decimal mark.
export function number(value, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

// With its sign, as a dial shows it.
export const signed = (value, digits = 0) => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: 2, signDisplay: "exceptZero" }).format(value);

// A part of 1, in per cent without the sign: the texts have that.
export const share = (part, digits = 1) => number(100 * part, digits);

export const gigabytes = (bytes) => t`${number(bytes / 1e9, 1)} GB`;

export const size = (bytes) => (bytes < 1e9 ? t`${number(bytes / 1e6)} MB` : gigabytes(bytes));

export function duration(seconds) {
  if (seconds < 90) return t`${number(Math.max(1, seconds))} s`;
  return seconds < 5400 ? t`${number(seconds / 60)} min` : t`${number(seconds / 3600, 1)} h`;
}

const AGES = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];

// How long ago that was.
export function ago(time) {
  const seconds = (Date.now() - new Date(time)) / 1000;
  const [unit, length] = AGES.find(([, least]) => seconds >= least) ?? ["second", Infinity];
  return length === Infinity ? t("just now") : new Intl.RelativeTimeFormat(language).format(-Math.floor(seconds / length), unit);
}

export const moment = (time) => new Date(time).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });

export const listed = (words) => new Intl.ListFormat(language).format(words);

// Whether a count goes with the singular: French says "0 tour".
export const isOne = (count) => new Intl.PluralRules(language).select(count) === "one";
