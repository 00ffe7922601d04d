import type { DescribedModel, SplitModel } from './jobs.ts';
import type { DecoderConfig } from './model.ts';
import type { Limits } from './shard.ts';

/** A model that requests can name. */
export interface ServedModel {
  id: string;
  /** ms since 1970. */
  addedAt: number;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
  name?: string;
}

/** What turns a generation's tokens into text and back, and how far it may go. */
export interface Generating {
  decoder: DecoderConfig;
  /** Ids at which an answer ends. */
  stopTokens: number[];
  /** A text's ids, the start token first where the model knows one. @throws TEXT_TOO_LONG */
  encode(text: string): number[];
  /** The ids of a conversation in the model's own chat template, up to where the answer begins. @throws CHAT_TEMPLATE_MISSING, CHAT_TEMPLATE_INVALID, TEXT_TOO_LONG */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /** Whether an id is one of the model's. */
  knows(id: number): boolean;
  /** Text as its tokens come: what each adds, nothing while a character is not whole. */
  stream(): (id: number) => string;
}

/** How a text becomes one vector. */
export interface Embedding {
  /** The ids of a text as the model's encoder wants them, its special tokens included. @throws TEXT_TOO_LONG */
  encode(text: string): number[];
  /** Ids of one text at most. */
  maxTokens: number;
  /** The output that holds the vectors, and how they become one: `none` where the graph does that itself. */
  output: string;
  pooling: 'none' | 'mean' | 'cls';
  normalize: boolean;
}

/** A served model, opened: its files stay where they are until `release`. */
export interface OpenedModel extends DescribedModel {
  limits: Limits;
  /** The same model in stages, where its texts are to be made by several workers. */
  split?: SplitModel;
  /** @throws MODEL_NOT_GENERATIVE, TOKENIZER_INVALID */
  generating(): Promise<Generating>;
  /** @throws MODEL_NO_EMBEDDING, TOKENIZER_INVALID */
  embedding(): Promise<Embedding>;
  release(): void;
}

/** The models that a coordinator answers requests with, and their words, which only the agent's side can read. */
export interface ServedModels {
  list(): ServedModel[];
  /** @throws MODEL_UNKNOWN */
  open(id: string): Promise<OpenedModel>;
}
