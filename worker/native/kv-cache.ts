import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { CacheSlot } from '../shard/decoder-layout.ts';
import { type Elements, elementsOf, newElements } from '../shard/tensors.ts';
import type { Ort } from './onnxruntime.ts';

/** What a pass over one more token takes and gives of the cache: inputs by name, and outputs by name with the memory that they are to fill. */
export interface CachePass {
  feeds: Record<string, OnnxValue>;
  fetches: Record<string, OnnxValue>;
}

/** The keys and values of all tokens so far, one token more with each pass. */
export interface KeyValueCache {
  /** For the next token's pass. Where that fails, the cache is as it was. */
  pass(): CachePass;
  /** The pass is done: the cache holds one more token. */
  advance(): void;
}

/** Positions that a buffer starts with beyond those in use, so that short answers never grow one. */
const SPARE_POSITIONS = 256;

/**
 * Positions to have room for: ahead of what is needed, so that growing is rare, by no more than a quarter, since a long text's cache may be most
 * of the memory there is, and never more than there will be.
 */
function roomFor(positions: number, mostPositions: number): number {
  return Math.max(positions, Math.min(mostPositions, Math.max(Math.ceil(1.25 * positions), positions + SPARE_POSITIONS)));
}

/** The cache before the first token. */
export function emptyCache(ort: Ort, slots: readonly CacheSlot[]): Record<string, OnnxValue> {
  return Object.fromEntries(
    slots.map(({ past, type, heads, headSize }) => [past, tensorOver(ort, type, newElements(type, 0), [1, heads, 0, headSize])]),
  );
}

/**
 * A cache that the graph gives back one position longer. Two buffers for each slot take turns, and the graph writes right into the one that is
 * free: without them the binding would copy each output into memory that is new each time.
 */
export class AlternatingCache implements KeyValueCache {
  readonly #ort: Ort;
  readonly #slots: readonly CacheSlot[];
  readonly #mostPositions: number;
  #current: OrtTensor[];
  #next: OrtTensor[] = [];
  #free: Elements[];
  #used: Elements[];
  #length: number;

  /**
   * @param results what the prompt's pass made of `length` tokens
   * @throws MODEL_NOT_GENERATIVE where that is not a position for each token
   */
  constructor(ort: Ort, slots: readonly CacheSlot[], results: Record<string, OnnxValue>, length: number, mostPositions: number) {
    this.#ort = ort;
    this.#slots = slots;
    this.#mostPositions = mostPositions;
    this.#length = length;
    this.#current = slots.map((slot) => presentOf(slot, results[slot.present], length));
    this.#used = this.#current.map((tensor) => elementsOf(tensor));
    this.#free = slots.map(({ type }) => newElements(type, 0));
  }

  get length(): number {
    return this.#length;
  }

  /** The cache as it is, for a pass over any number of tokens. */
  feeds(): Record<string, OnnxValue> {
    return Object.fromEntries(this.#slots.map(({ past }, at) => [past, this.#current[at] as OrtTensor]));
  }

  pass(): CachePass {
    const length = this.#length + 1;
    this.#next = this.#slots.map(({ type, heads, headSize }, at) => {
      const count = heads * length * headSize;
      if ((this.#free[at] as Elements).length < count) {
        this.#free[at] = newElements(type, heads * roomFor(length, this.#mostPositions) * headSize);
      }
      return tensorOver(this.#ort, type, (this.#free[at] as Elements).subarray(0, count), [1, heads, length, headSize]);
    });
    return named(this.#slots, this.#current, this.#next);
  }

  advance(): void {
    this.#length += 1;
    this.#current = this.#next;
    [this.#free, this.#used] = [this.#used, this.#free];
  }

  /** Copies one slot's positions into a buffer that has room for `room` of them a head. */
  copyInto(at: number, target: Elements, room: number): void {
    spread(this.#slots[at] as CacheSlot, elementsOf(this.#current[at] as OrtTensor), this.#length, target, room);
  }

  /** The last position of each slot, head after head. */
  lastPositions(): Elements[] {
    return this.#slots.map((slot, at) => positionOf(slot, elementsOf(this.#current[at] as OrtTensor), this.#length, this.#length - 1));
  }
}

/**
 * A cache that stays where it is: input and output are the same memory, with room for more positions than are in use, and the graph writes the
 * new one in its place. Nothing is copied. Only GroupQueryAttention can be called so; see `sharesCache`.
 */
export class SharedCache implements KeyValueCache {
  readonly #ort: Ort;
  readonly #slots: readonly CacheSlot[];
  readonly #mostPositions: number;
  #buffers: Elements[];
  #tensors: OrtTensor[];
  #room: number;
  #length: number;

  constructor(ort: Ort, slots: readonly CacheSlot[], from: AlternatingCache, mostPositions: number) {
    this.#ort = ort;
    this.#slots = slots;
    this.#mostPositions = mostPositions;
    this.#length = from.length;
    this.#room = roomFor(from.length + 1, mostPositions);
    this.#buffers = slots.map(({ type, heads, headSize }, at) => {
      const buffer = newElements(type, heads * this.#room * headSize);
      from.copyInto(at, buffer, this.#room);
      return buffer;
    });
    this.#tensors = this.#tensorsOver();
  }

  pass(): CachePass {
    if (this.#length === this.#room) this.#grow();
    return named(this.#slots, this.#tensors, this.#tensors);
  }

  advance(): void {
    this.#length += 1;
  }

  lastPositions(): Elements[] {
    return this.#slots.map((slot, at) => positionOf(slot, this.#buffers[at] as Elements, this.#room, this.#length - 1));
  }

  #grow(): void {
    const room = roomFor(this.#length + 1, this.#mostPositions);
    this.#buffers = this.#slots.map((slot, at) => {
      const grown = newElements(slot.type, slot.heads * room * slot.headSize);
      spread(slot, this.#buffers[at] as Elements, this.#room, grown, room);
      return grown;
    });
    this.#room = room;
    this.#tensors = this.#tensorsOver();
  }

  #tensorsOver(): OrtTensor[] {
    return this.#slots.map(({ type, heads, headSize }, at) =>
      tensorOver(this.#ort, type, this.#buffers[at] as Elements, [1, heads, this.#room, headSize]),
    );
  }
}

/** Whether two caches hold the same bits for their last token. */
export function sameLastPositions(one: AlternatingCache, other: SharedCache): boolean {
  const others = other.lastPositions();
  return one.lastPositions().every((position, at) => sameBits(position, others[at] as Elements));
}

export function sameBits(one: ArrayBufferView, other: ArrayBufferView): boolean {
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  return bytes(one).equals(bytes(other));
}

function named(slots: readonly CacheSlot[], inputs: readonly OrtTensor[], outputs: readonly OrtTensor[]): CachePass {
  const pass: CachePass = { feeds: {}, fetches: {} };
  slots.forEach(({ past, present }, at) => {
    pass.feeds[past] = inputs[at] as OrtTensor;
    pass.fetches[present] = outputs[at] as OrtTensor;
  });
  return pass;
}

/** Copies what is in use of each head's stretch into the wider one of `target`. Both start with position 0. */
function spread({ heads, headSize }: CacheSlot, source: Elements, positions: number, target: Elements, room: number): void {
  for (let head = 0; head < heads; head += 1) {
    const stretch = source.subarray(head * positions * headSize, (head + 1) * positions * headSize);
    target.set(stretch, head * room * headSize);
  }
}

function positionOf({ type, heads, headSize }: CacheSlot, source: Elements, room: number, position: number): Elements {
  const values = newElements(type, heads * headSize);
  for (let head = 0; head < heads; head += 1) {
    const from = (head * room + position) * headSize;
    values.set(source.subarray(from, from + headSize), head * headSize);
  }
  return values;
}

function presentOf({ present, heads, headSize, type }: CacheSlot, value: OnnxValue | undefined, length: number): OrtTensor {
  const tensor = value as OrtTensor | undefined;
  const wanted = [1, heads, length, headSize];
  if (tensor?.type === type && tensor.dims.length === 4 && wanted.every((size, axis) => tensor.dims[axis] === size)) return tensor;
  const found = tensor === undefined ? 'missing' : `${tensor.type} [${tensor.dims.join(', ')}]`;
  const detail = `its output ${present} is ${found} where ${length} tokens make ${type} [${wanted.join(', ')}]`;
  throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
}

function tensorOver(ort: Ort, type: CacheSlot['type'], elements: Elements, dims: number[]): OrtTensor {
  return new ort.Tensor(type, elements as never, dims);
}
