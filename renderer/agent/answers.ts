import { errorOf, type HearthlendError } from '../../core/contract/errors.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { EventData } from '../../core/contract/rpc.ts';

/** One prompt put to the practice model, and what came of it. */
export interface Answer {
  /** This page's own number for it: the job's id is known only once the call came back. */
  id: number;
  jobId: string | null;
  prompt: string;
  text: string;
  /** The end of `text` that came last. */
  newest: string;
  tokens: number;
  tokensPerSecond: number | null;
  phase: 'asking' | 'answering' | 'stopping' | 'done' | 'stopped' | 'failed' | 'lost';
  error: HearthlendError | null;
}

const MAX_ANSWERS = 30;

export function isOpen(answer: Answer): boolean {
  return answer.phase === 'asking' || answer.phase === 'answering' || answer.phase === 'stopping';
}

/** The list with a new question at its head. */
export function addQuestion(answers: readonly Answer[], id: number, prompt: string): readonly Answer[] {
  const question: Answer = {
    id,
    jobId: null,
    prompt,
    text: '',
    newest: '',
    tokens: 0,
    tokensPerSecond: null,
    phase: 'asking',
    error: null,
  };
  return [question, ...answers].slice(0, MAX_ANSWERS);
}

export function changeAnswer(answers: readonly Answer[], id: number, change: Partial<Answer>): readonly Answer[] {
  return answers.map((answer) => (answer.id === id ? { ...answer, ...change } : answer));
}

/** The same array where the event is of none of these answers. */
export function applyPromptText(answers: readonly Answer[], event: EventData<'prompt.text'>): readonly Answer[] {
  const answer = answers.find((each) => each.jobId === event.jobId);
  return answer === undefined ? answers : changeAnswer(answers, answer.id, fromPromptText(answer, event));
}

function fromPromptText(answer: Answer, event: EventData<'prompt.text'>): Partial<Answer> {
  const { text, tokens, tokensPerSecond } = event;
  const newest = text.startsWith(answer.text) ? text.slice(answer.text.length) || answer.newest : '';
  const said = { text, tokens, tokensPerSecond, newest };
  if (!event.done) return { ...said, phase: answer.phase === 'stopping' ? 'stopping' : 'answering' };
  if (answer.phase === 'stopping' || event.error === 'JOB_CANCELLED' || event.error === 'CANCELLED') return { ...said, phase: 'stopped' };
  if (event.error === null) return { ...said, phase: 'done' };
  return { ...said, phase: 'failed', error: errorOf(event.error, {}) };
}

/** What the job's state says about an answer whose events were missed, or ended without their parameters. */
export function fromJob(answer: Answer, job: JobStatus): Partial<Answer> {
  if (job.error !== null) return { phase: 'failed', error: errorOf(job.error.code, job.error.params) };
  if (job.state === 'cancelled') return { phase: 'stopped' };
  if (job.state === 'done' && isOpen(answer)) return { phase: 'lost' };
  return {};
}
