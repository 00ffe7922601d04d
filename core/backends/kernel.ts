/**
 * The kernel that proves a backend: softmax(tanh(x·w + b)²) over 64 rows of 16 floats. It takes a product of matrices, a broadcast, an
 * activation and a reduction, which every provider has, and is small enough for a driver that computes on the CPU.
 * Made by test/fixtures/onnx-writer.ts; test/core/backends/kernel.test.ts makes it anew and compares.
 */
const KERNEL =
  'CAgSBHRlc3Q66gkKEQoBeAoBdxIBbSIGTWF0TXVsCg4KAW0KAWISAWEiA0FkZAoMCgFhEgF0IgRUYW5oCg4KAXQKAXQSAXMiA011bAocCgFzEgF5IgdTb2Z0bWF4KgsKBGF4aXMYAaABAhIFZ3JhcG' +
  'gqjAgIEAgQEAFCAXdKgAjKg/e+IZLlvghktr1CUkO/q2opvxg/ND8LSA4+H4Q6P5fTu77JIKu+H4xNPwXvZb6AOcQ+Pbayvsh5rL524uS+gAFJP9KNRT/BiAU/2noaP3yhBT/Vk0E/V6d/P7aDw74K' +
  'Zwq+Lr0Kv6WpFz/OlGY/amS6vjIxED8MXTK/+6UsPq1yED+5z8w+6RHLvl09WT9dn4Q9c5SEPs1dd7/bX/S+Dx15P88BX7/Nfkq/dHCjvuLRO79WqII+WM35vuBmEL9ER5o+8dASv7vAhD63ECS/u8' +
  'LLvrqTGr+XBB4/GCxpv6gMOj9ItCe/N0tyv2mjAL5H0EC/zFdKPzzoGT+qtzM/v0y8PljKGL6Rso++ciowPofOZT72B4k+ahD6PKZjRT/3eB6/MqvCPWhmNz/t/DM/x3bdvuz5Cb9PuRa+HN9uPxzz' +
  'UL8TUzG/5tMIv1DtzL4udsu+Ucn4vhHw0r6XMug+Ml5NP8M6L7/yx2W/OubzPjihI7/7Vha/t9C1vurSrT5j0q8+0pCevnytJL8RahS+iDtjv1w8cT8yTHO+J/Frv7o30L6Jdfi+iGjjvtLOXT5VB9' +
  '48OxWKPrcH2b4Q20I6c2WFvlmiYr4oEHy+BxktP0+kdT8jxBk+iL4wv528iT5xq18+xP7LPoIjb7xMRze/7NW3Pt50Qj8tQRc/IHECvyRLMD9uJg6+IOu1vvudcz+S6TG/ozxZv3w4G7895TW9dhED' +
  'Pk9iAb8wQX0/5IN/vw5+qr45Tim/Q1dlv/JdAD83i3G/Dv24PvLfRD+t3LA+KzMcv6bCf7/QfZO+wOJQuadCYj8nSkc/OSGjvNfvjz5EZGc/VwtRPyuLX7/X7/A+bLjDPqOz7D4HQ4O+GgRsP4X5KD' +
  '/90dY+NLAeP4JPOL5ISDe/OtEzvzypML/dGUG/o+RWvpBLez/qzsc+NdtQPpXsfr9Ecjs/OqA/PkZZRT8ijN29lqDWPihpPr+i5oQ8Iuv5Ps4pUL41Zco+w4BbP9tUer2QQ0a/OoXxPtIW/76Y01C/' +
  'QpyAvqleWD9NMLy+dvuhPkB9bT/3Eaq+puagu86xW7+FNyi/Ho4hvsqBCj9TxZ28B9hUv01Iaz9Ji0g/tuRuPqKCOT9rt5G+1akFP0K5Pj8kBha/uFJvP89pz76bkwA/4uZKvUOT274Yc0O+QV4wP9' +
  'YnN797xR+/4lQ2P4tour4xOgc+02swPsfmJL8RszE/vl/5vgtUNL/m5zU/aNDfvjBFS79NInE/cwfnvZ2P1T370fK+dUmWvnFSN74/2DM+Pv+nPllbaL8EMBM/sMX6vuXrsr5xCYs+nC5rPxWzNj43' +
  'rmQ/QwJhP69QKb/v/ig/0BdVvW5k9z02ows+KkkIEBABQgFiSkD6KOG+LaMivxQUP740qIM9YGzZvqRmqb5rE4u+gbwnv27qbj4KbHK/4+jWPdFylr6OyhU/MscgP51WE75ksBM+WhMKAXgSDgoMCA' +
  'ESCAoCCEAKAggQYhMKAXkSDgoMCAESCAoCCEAKAggQQgQKABAS';

const ROWS = 64;
const WIDTH = 16;

export function kernelModel(): Uint8Array {
  return new Uint8Array(Buffer.from(KERNEL, 'base64'));
}

/** The kernel's input, the same each time. */
export function kernelInput(): { name: string; shape: number[]; values: Float32Array } {
  return { name: 'x', shape: [ROWS, WIDTH], values: Float32Array.from({ length: ROWS * WIDTH }, (_, at) => Math.sin(0.37 * at)) };
}

/** How far two answers lie apart, as their relative L2 distance; infinite where one of them is no list of as many finite numbers. */
export function distanceOf(answer: Float32Array, expected: Float32Array): number {
  if (answer.length !== expected.length || answer.length === 0) return Number.POSITIVE_INFINITY;
  let distance = 0;
  let length = 0;
  for (let at = 0; at < expected.length; at += 1) {
    const [have, want] = [answer[at] as number, expected[at] as number];
    distance += (have - want) ** 2;
    length += want ** 2;
  }
  const relative = Math.sqrt(distance / length);
  return Number.isFinite(relative) ? relative : Number.POSITIVE_INFINITY;
}
