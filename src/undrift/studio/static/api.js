// Requests to the server. Every failure is an Error whose message can be shown as it is.

import { number } from "./format.js";
import { heard, t } from "./languages.js";

export class Problem extends Error {}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(t("The studio does not answer: is it still running?"));
  }
  if (response.status === 401) location.assign("/login");
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(heard(value.error) ?? t`The studio answered ${response.status}.`);
  return value;
}

export const get = (path) => request(path);

export const post = (path, body = {}) =>
  request(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });

export function upload(file, limits) {
  if (file.size > limits.bytes) {
    throw new Problem(t`This file has ${megabytes(file.size)} MB, at most ${megabytes(limits.bytes)} MB are taken.`);
  }
  return request(`/api/uploads?name=${part(file.name)}`, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
}

export const archive = (file) =>
  request(`/api/archives?name=${part(file.name)}`, { method: "POST", body: file });

const megabytes = (bytes) => number(bytes / 2 ** 20);

const part = encodeURIComponent;

export const sessionPath = (name) => `/api/sessions/${part(name)}`;

export const turnPath = (name, turn, what) =>
  `${sessionPath(name)}/turns/${turn.id}/${what}?v=${turn.image_hash.slice(0, 16)}`;

export const heatPath = (name, first, second) =>
  `${sessionPath(name)}/heat/${first.id}/${second.id}?v=${first.image_hash.slice(0, 12)}${second.image_hash.slice(0, 12)}`;

export const exportPath = (name, kind, turn) => `${sessionPath(name)}/export/${kind}/${turn.id}`;
