// The towers of an export by onnxruntime-web: images and token ids to unit vectors.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { pixelValues } from "./pixels.js";

ort.env.wasm.numThreads = 1; // more need a page that is isolated from other origins
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

// The export in the folder at this address.
export async function open(folder) {
  const note = await json(`${folder}/export.json`);
  const config = await json(`${folder}/preprocessor_config.json`);
  const sessions = {};
  const run = async (tower, feeds) => {
    sessions[tower] ??= await ort.InferenceSession.create(`${folder}/${note.towers[tower].file}`);
    const outputs = await sessions[tower].run(feeds);
    return unit(outputs[Object.keys(note.towers[tower].outputs)[0]].data);
  };
  return {
    embedImage: async (blob) => {
      const { values, shape } = pixelValues(await decoded(blob), config);
      return run("vision", { pixel_values: new ort.Tensor("float32", values, shape) });
    },
    // Token ids of one text, its start and end among them.
    embedTokens: (ids) => {
      const row = (numbers) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), [1, ids.length]);
      return run("text", { input_ids: row(ids), attention_mask: row(ids.map(() => 1)) });
    },
  };
}

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

async function decoded(blob) {
  const bitmap = await createImageBitmap(blob, { premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // where the image is transparent
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return Array.from(vector, (number) => number / length);
}
