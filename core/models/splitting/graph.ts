import type { DeclaredValue } from '../onnx/values.ts';

/** Bytes of the whole model's file. */
export interface Range {
  start: number;
  end: number;
}

/** A field of a protobuf message that is copied as it is. */
interface RawField extends Range {
  number: number;
  wire: number;
}

export interface SplitNode extends Range {
  /** As people find it: its own name, else its type and first output. */
  label: string;
  type: string;
  domain: string;
  /** Empty names, which stand for inputs left out, are not in here. */
  inputs: string[];
  /** What the graphs inside it take from around it. */
  captured: string[];
  outputs: string[];
  /** Whether there are graphs inside it: branches, loop bodies. */
  nested: boolean;
  /** Bytes of the constants inside it. */
  constantBytes: number;
}

export interface SplitTensor extends Range {
  name: string;
  /** 5: initializer; 15: sparse initializer. */
  field: 5 | 15;
  bytes: number;
  /** Where its data lies, in a file beside the graph; null where it is in the graph's own. */
  external: { path: string; offset: number; length: number } | null;
}

interface SplitValueInfo extends Range {
  value: DeclaredValue;
}

/** A model's main graph, so far as it takes to write parts of it: names, and where everything lies in the file. */
export interface SplitGraph {
  /** Fields of the model other than its graph and its training: versions, operator sets, functions, and what is not known here. */
  modelFields: RawField[];
  /** Fields of the graph that belong to no node or value: name, description, metadata, and what is not known here. */
  graphFields: RawField[];
  nodes: SplitNode[];
  constants: Map<string, SplitTensor>;
  /** Inputs that have to be given. */
  inputs: Map<string, SplitValueInfo>;
  /** Declarations of constants as inputs, which models of old versions have. */
  constantInputs: Map<string, Range>;
  outputs: Map<string, SplitValueInfo>;
  /** Declarations of values between nodes. */
  inner: Map<string, SplitValueInfo>;
  /** Notes on how tensors are quantized, by the tensor's name. */
  quantization: Map<string, Range>;
}
