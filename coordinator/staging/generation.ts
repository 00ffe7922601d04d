import { HearthlendError } from '../../core/contract/errors.ts';
import { tokenLimit } from '../../core/contract/generation.ts';
import { sampleToken } from '../../core/contract/sampler.ts';
import type { Stage } from '../../core/contract/stages.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import { floatsOf } from '../trust/elements.ts';
import type { StageRecord } from '../trust/stage-audit.ts';
import { type GenerationPlan, givenBy, tokensOfStep } from './plan.ts';
import { faultOfStep, inputsOf, joinable, type Step } from './steps.ts';

/** What a stage is told: some tokens more, or that it is all. */
export type Next = { type: 'step'; tokens: number; inputs: Tensors } | { type: 'done' };

/** What an attempt at a stage was handed and has not answered: steps from…to of the generation, in one pass. */
interface Handed {
  from: number;
  to: number;
  next: Extract<Next, { type: 'step' }>;
}

/** One stage, and the attempt that has it now. */
class StageState {
  readonly stage: Stage;
  readonly joinable: boolean;
  attempt = 0;
  /** Steps of the generation whose outputs of this stage are known, whoever made them. */
  computed = 0;
  /** By step, the attempt that made what is known of it. */
  makers: number[] = [];
  /** Steps of the generation that are in the attempt's cache. */
  cached = 0;
  handed: Handed | null = null;
  /** SHA-256 of each output that the attempt handed in. */
  digests: string[] = [];
  units = 0;

  constructor(stage: Stage) {
    this.stage = stage;
    this.joinable = joinable(stage);
  }

  /** A new attempt begins with an empty cache. */
  begin(attempt: number): void {
    this.attempt = attempt;
    this.cached = 0;
    this.handed = null;
    this.digests = [];
    this.units = 0;
  }
}

/**
 * A generation over stages, of which each is with a worker of its own: what each of them does next, and what came of it. The inputs of all steps are
 * kept, so that a stage that is lost goes on with another worker: its cache is made anew, of as many steps in one pass as one message carries, and no
 * other stage computes anything again. No I/O, no clock.
 */
export class StagedGeneration {
  readonly #plan: GenerationPlan;
  readonly #stages: StageState[];
  readonly #steps: Step[] = [];
  readonly #tokensOfStep: number;
  readonly #limit: number;
  #tokens: number[] = [];
  #over = false;

  /** @throws MODEL_UNCUTTABLE where what is handed on is too much for a message */
  constructor(plan: GenerationPlan) {
    this.#plan = plan;
    this.#stages = plan.split.stages.map((stage) => new StageState(stage));
    this.#tokensOfStep = tokensOfStep(plan);
    const { prompt, maxNewTokens, split } = plan;
    this.#limit = tokenLimit(prompt.length, maxNewTokens, split.decoder?.maxPositions ?? 0);
    for (let at = 0; at < prompt.length; at += this.#tokensOfStep) {
      this.#steps.push({ ids: prompt.slice(at, at + this.#tokensOfStep), past: at, values: new Map() });
    }
  }

  /** The tokens made so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get plan(): GenerationPlan {
    return this.#plan;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Steps that an attempt at a stage has computed: their digests in order, and how many tokens went through it; null where it is not known here. */
  computedBy(index: number, attempt: number): { digests: readonly string[]; units: number } | null {
    const state = this.#stages[index];
    return state === undefined || state.attempt !== attempt ? null : { digests: state.digests, units: state.units };
  }

  /** What a stage made of what it was handed, and who did, for its audit. */
  record(index: number): StageRecord {
    const { stage, computed, makers } = this.#state(index);
    const { prompt, sampling } = this.#plan;
    const gives = givenBy(stage).map(({ name }) => name);
    const promptSteps = Math.ceil(prompt.length / this.#tokensOfStep);
    return {
      steps: this.#steps.slice(0, computed),
      makers,
      handsOn: gives.filter((name) => name !== 'logits'),
      drawn: gives.includes('logits') ? { tokens: this.#tokens, promptSteps, sampling } : null,
    };
  }

  /** Whether an attempt at a stage was handed something that it has not answered. */
  isBusy(index: number): boolean {
    return (this.#stages[index]?.handed ?? null) !== null;
  }

  /**
   * An attempt at a stage says how many steps it has computed.
   * @throws LEASE_EXPIRED where that can't be: another has the stage, or this coordinator lost its memory of it
   */
  claim(index: number, attempt: number, step: number): void {
    const state = this.#state(index);
    if (attempt > state.attempt) state.begin(attempt);
    const known = state.digests.length;
    if (attempt < state.attempt || (step !== known && !(step === known + 1 && state.handed !== null))) {
      throw new HearthlendError('LEASE_EXPIRED', { shard: `${index}` });
    }
  }

  /**
   * Takes the outputs of the step that the attempt was handed. Those of a step that it handed in already change nothing.
   * @throws RESULT_MALFORMED, OUTPUT_NOT_FINITE
   */
  handIn(index: number, step: number, outputs: Tensors, digest: string): void {
    const state = this.#state(index);
    if (step === state.digests.length || state.handed === null) return;
    const { from, to, next } = state.handed;
    const first = this.#steps[from] as Step;
    const fault = faultOfStep(state.stage, next.tokens, first.past, outputs);
    if (fault !== undefined) throw new HearthlendError('RESULT_MALFORMED', { shard: `${index}`, detail: fault });
    const logits = outputs.get('logits');
    const drawn = logits !== undefined && to > state.computed && to === this.#steps.length ? this.#draw(logits) : null;
    state.digests.push(digest);
    state.units += next.tokens;
    state.handed = null;
    state.cached = to;
    if (to <= state.computed) return;
    state.computed = to;
    state.makers[from] = state.attempt;
    for (const [name, tensor] of outputs) if (name !== 'logits') first.values.set(name, own(tensor));
    if (drawn !== null) this.#goOn(drawn);
  }

  /** What a stage does next; null while it has to wait for others. The same until that is answered. */
  next(index: number): Next | null {
    const state = this.#state(index);
    if (state.handed !== null) return state.handed.next;
    const from = state.cached;
    if (from < state.computed) {
      const to = this.#together(state, from);
      if (to <= state.computed) return this.#hand(state, from, to);
    }
    if (this.#over) return { type: 'done' };
    const step = this.#steps[from];
    const ready =
      step !== undefined && state.stage.inputs.every(({ name, from: source }) => typeof source === 'string' || step.values.has(name));
    return ready ? this.#hand(state, from, from + 1) : null;
  }

  #state(index: number): StageState {
    const state = this.#stages[index];
    if (state === undefined) throw new HearthlendError('LEASE_UNKNOWN', { shard: `${index}` });
    return state;
  }

  /** How far one pass goes over steps that are to be computed again. */
  #together(state: StageState, from: number): number {
    let to = from + 1;
    if (!state.joinable) return to;
    let tokens = this.#steps[from]?.ids.length ?? 0;
    for (; to < state.computed; to += 1) {
      tokens += this.#steps[to]?.ids.length ?? 0;
      if (tokens > this.#tokensOfStep) break;
    }
    return to;
  }

  #hand(state: StageState, from: number, to: number): Next {
    const steps = this.#steps.slice(from, to);
    const tokens = steps.reduce((sum, { ids }) => sum + ids.length, 0);
    const next: Next = { type: 'step', tokens, inputs: inputsOf(state.stage, steps) };
    state.handed = { from, to, next };
    return next;
  }

  /** @throws OUTPUT_NOT_FINITE */
  #draw(logits: Tensor): number {
    const values = logits.type === 'float32' ? floats32(logits) : floatsOf(logits);
    if (this.#plan.nonFinite === 'reject') {
      const bad = values.find((value) => !(value < Number.POSITIVE_INFINITY));
      if (bad !== undefined)
        throw new HearthlendError('OUTPUT_NOT_FINITE', { name: 'logits', found: Number.isNaN(bad) ? 'nan' : 'infinite' });
    }
    return sampleToken(values, this.#plan.sampling, this.#tokens.length).token;
  }

  #goOn(token: number): void {
    this.#tokens.push(token);
    this.#over = this.#plan.stopTokens.includes(token) || this.#tokens.length >= this.#limit;
    const last = this.#steps.at(-1) as Step;
    if (!this.#over) this.#steps.push({ ids: [token], past: last.past + last.ids.length, values: new Map() });
  }
}

/** Without a copy in float64: a vocabulary has 150,000 of them, for each token. */
function floats32({ data }: Tensor): Float32Array {
  const { buffer, byteOffset, byteLength } = data.byteOffset % 4 === 0 ? data : Uint8Array.from(data);
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

/** A copy that keeps no larger buffer alive. */
function own({ type, shape, data }: Tensor): Tensor {
  return { type, shape, data: Uint8Array.from(data) };
}
