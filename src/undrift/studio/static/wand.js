// What is alike and hangs together around a point: selecting a thing with one click, without any model.
//
// Colours are compared in Oklab (Ottosson 2020), in which equal distances look about equally far; the region grows from
// the point over neighbours whose distance to the colour there is at most `reach`. Holes that are smaller than the thing
// itself are filled: an eye is part of a head.

const SIDE = 1024; // longer side in pixels at which a large picture is looked at
const FILLED = 0.06; // a hole of up to this part of the region is part of it

// Runs [y, start, stop] in pixels of the picture `image` around `point`; `reach` from 0 to 1.
export function alike(image, point, reach) {
  const { naturalWidth: full, naturalHeight: tall } = image;
  const scale = Math.min(1, SIDE / Math.max(full, tall));
  const [width, height] = [Math.max(1, Math.round(full * scale)), Math.max(1, Math.round(tall * scale))];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0, width, height);
  const colours = oklab(pen.getImageData(0, 0, width, height).data);
  const at = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  const seed = at(point[1] * scale, height) * width + at(point[0] * scale, width);
  const region = filled(grown(colours, width, height, seed, reach * reach), width, height);
  return runsOf(region, width, height, full / width, tall / height);
}

function oklab(data) {
  const result = new Float32Array((data.length / 4) * 3);
  for (let at = 0, to = 0; at < data.length; at += 4, to += 3) {
    const [r, g, b] = [LINEAR[data[at]], LINEAR[data[at + 1]], LINEAR[data[at + 2]]];
    const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    result[to] = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
    result[to + 1] = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
    result[to + 2] = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  }
  return result;
}

const LINEAR = Float32Array.from({ length: 256 }, (_, at) => {
  const value = at / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

// The pixels that can be reached from `seed` over neighbours for which `takes` holds, marked in `marks` with `mark`.
function spread(marks, width, height, seed, mark, takes) {
  const waiting = [seed];
  marks[seed] = mark;
  let count = 0;
  while (waiting.length) {
    const at = waiting.pop();
    count += 1;
    const x = at % width;
    const near = [x > 0 && at - 1, x < width - 1 && at + 1, at >= width && at - width, at < width * (height - 1) && at + width];
    for (const next of near) {
      if (next === false || marks[next] || !takes(next)) continue;
      marks[next] = mark;
      waiting.push(next);
    }
  }
  return count;
}

function grown(colours, width, height, seed, most) {
  const marks = new Uint8Array(width * height);
  const own = middle(colours, width, height, seed);
  const takes = (at) => (colours[at * 3] - own[0]) ** 2 + (colours[at * 3 + 1] - own[1]) ** 2 + (colours[at * 3 + 2] - own[2]) ** 2 <= most;
  const count = spread(marks, width, height, seed, 1, takes);
  return { marks, count };
}

// The colour around `seed`: of each channel the middle value of the pixels that touch it, so that one speck does not decide.
function middle(colours, width, height, seed) {
  const [x, y] = [seed % width, Math.floor(seed / width)];
  const near = [];
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row += 1)
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column += 1) near.push((row * width + column) * 3);
  return [0, 1, 2].map((channel) => near.map((at) => colours[at + channel]).sort((a, b) => a - b)[near.length >> 1]);
}

// Everything that is not the region, piece by piece: pieces that touch no border and are small become part of it.
function filled({ marks, count }, width, height) {
  const found = Uint8Array.from(marks);
  for (let at = 0; at < found.length; at += 1) {
    if (found[at]) continue;
    const piece = [];
    let border = false;
    const size = spread(found, width, height, at, 2, (next) => {
      if (found[next]) return false;
      piece.push(next);
      return true;
    });
    piece.push(at);
    for (const one of piece) border ||= one % width === 0 || one % width === width - 1 || one < width || one >= width * (height - 1);
    if (!border && size <= count * FILLED) for (const one of piece) marks[one] = 1;
  }
  return marks;
}

function runsOf(marks, width, height, right, down) {
  const runs = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!marks[y * width + x]) continue;
      const start = x;
      while (x < width && marks[y * width + x]) x += 1;
      for (let row = Math.round(y * down); row < Math.round((y + 1) * down); row += 1) runs.push([row, Math.round(start * right), Math.round(x * right)]);
    }
  }
  return runs;
}
