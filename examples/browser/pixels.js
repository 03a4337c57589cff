// An image to a model's pixel values, as preprocessor_config.json says: resized as Pillow does, cropped, normalized.

const FILTERS = {
  2: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: { reach: 2, at: bicubic },
};

function bicubic(x) {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

// The pixel values (3, height, width) of an ImageData, as a Float32Array, and their shape.
export function pixelValues(image, config) {
  const filter = FILTERS[config.resample ?? 3];
  if (!filter) throw new Error(`resample ${config.resample}: only 2 (bilinear) and 3 (bicubic) are known here`);
  let { width, height, data } = image;
  if (config.do_resize ?? true) {
    const size = resizedSize(width, height, config.size);
    data = resize(data, width, height, size, filter);
    [width, height] = size;
  }
  const crop = (config.do_center_crop ?? true) ? pair(config.crop_size ?? config.size) : [width, height];
  return { values: normalize(data, width, height, crop, config), shape: [1, 3, crop[1], crop[0]] };
}

// [width, height] of a size in any of the forms that the file may have.
function pair(size) {
  if (typeof size === "number") return [size, size];
  return "shortest_edge" in size ? [size.shortest_edge, size.shortest_edge] : [size.width, size.height];
}

function resizedSize(width, height, size) {
  if (typeof size !== "number" && !("shortest_edge" in size)) return pair(size);
  const short = pair(size)[0];
  const long = Math.trunc((short * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [short, long] : [long, short];
}

// RGBA of `width` x `height` to RGBA of `size`: along the rows, then along the columns, rounded after each.
function resize(data, width, height, [toWidth, toHeight], filter) {
  const rows = pass(data, height, width * 4, 4, weights(width, toWidth, filter));
  return pass(rows, toWidth, 4, toWidth * 4, weights(height, toHeight, filter), true);
}

// One pass over `lines` lines, which begin `line` numbers apart; the pixels of a line lie `step` numbers apart.
function pass(data, lines, line, step, taps, isColumn = false) {
  const out = new Uint8ClampedArray(lines * taps.length * 4);
  for (let n = 0; n < lines; n++) {
    for (let i = 0; i < taps.length; i++) {
      const to = isColumn ? (i * lines + n) * 4 : (n * taps.length + i) * 4;
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        taps[i].weights.forEach((weight, k) => (sum += weight * data[n * line + (taps[i].start + k) * step + channel]));
        out[to + channel] = Math.floor(sum + 0.5);
      }
    }
  }
  return out;
}

function weights(from, to, { reach, at }) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - reach * stretch + 0.5));
    const end = Math.min(from, Math.trunc(center + reach * stretch + 0.5));
    const found = Array.from({ length: end - start }, (_, k) => at((start + k - center + 0.5) / stretch));
    const sum = found.reduce((a, b) => a + b, 0);
    return { start, weights: found.map((weight) => weight / sum) };
  });
}

// The middle of the image, with black where the image does not reach.
function normalize(data, width, height, [cropWidth, cropHeight], config) {
  const top = Math.floor((height - cropHeight) / 2);
  const left = Math.floor((width - cropWidth) / 2);
  const factor = (config.do_rescale ?? true) ? (config.rescale_factor ?? 1 / 255) : 1;
  const values = new Float32Array(3 * cropHeight * cropWidth);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, std] = config.do_normalize === false ? [0, 1] : [config.image_mean[channel], config.image_std[channel]];
    for (let y = 0; y < cropHeight; y++) {
      for (let x = 0; x < cropWidth; x++) {
        const row = y + top;
        const column = x + left;
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        const level = inside ? data[(row * width + column) * 4 + channel] : 0;
        const value = level * factor - (config.rescale_offset ? 1 : 0);
        values[(channel * cropHeight + y) * cropWidth + x] = (value - mean) / std;
      }
    }
  }
  return values;
}
