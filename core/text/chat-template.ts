import { createContext, runInContext } from 'node:vm';
import { Template } from '@huggingface/jinja';
import { HearthlendError } from '../contract/errors.ts';
import type { ChatMessage } from '../contract/serving.ts';
import { type ModelFolder, readText, readTokenizerFiles, tokenText } from './files.ts';

/** A conversation is rendered within this time: a template is a program of whoever made the model, and may run for ever. */
const RENDER_MS = 500;

/** Puts a conversation into the words that a model was trained on, up to where its answer begins. @throws CHAT_TEMPLATE_INVALID */
export type ChatTemplate = (messages: readonly ChatMessage[]) => string;

/**
 * A model's chat template: chat_template.jinja, else what tokenizer_config.json says; of several, the one named `default`. Null where it has none.
 * Sources: "Chat templates" in the documentation of huggingface/transformers, and its order of precedence in tokenization_utils_base.py.
 * @throws CHAT_TEMPLATE_INVALID, TOKENIZER_INVALID, FILE_UNREADABLE
 */
export async function loadChatTemplate(folder: ModelFolder): Promise<ChatTemplate | null> {
  const { config } = await readTokenizerFiles(folder);
  const named = config.chat_template;
  const inConfig = Array.isArray(named) ? named.find(({ name }) => name === 'default')?.template : named;
  const source = (await readText(folder, 'chat_template.jinja')) ?? inConfig;
  if (source == null) return null;
  const template = guarded(() => new Template(source));
  const variables = {
    bos_token: tokenText(config.bos_token) ?? '',
    eos_token: tokenText(config.eos_token) ?? '',
    pad_token: tokenText(config.pad_token) ?? '',
    unk_token: tokenText(config.unk_token) ?? '',
    add_generation_prompt: true,
  };
  return (messages) => {
    const rendered = guarded(() => template.render({ ...variables, messages: structuredClone(messages) }));
    if (typeof rendered !== 'string') throw invalid('it gave no text');
    return rendered;
  };
}

/** Runs what a stranger's template decides. The time limit of `runInContext` also ends what is called out of it. */
function guarded<T>(run: () => T): T {
  try {
    return runInContext('run()', createContext({ run }), { timeout: RENDER_MS }) as T;
  } catch (thrown) {
    const timedOut = (thrown as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    throw invalid(timedOut ? `it ran for more than ${RENDER_MS} ms` : String((thrown as Error).message ?? thrown).slice(0, 500), thrown);
  }
}

function invalid(detail: string, cause?: unknown): HearthlendError {
  return new HearthlendError('CHAT_TEMPLATE_INVALID', { detail }, { cause });
}
