/** ONNX's own domains, whose operators ONNX Runtime knows by itself. The default one has two spellings. */
const STANDARD_DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml']);
const CONTRIB_DOMAIN = 'com.microsoft';

/**
 * ONNX Runtime's contrib operators. Source: github.com/microsoft/onnxruntime, docs/ContribOperators.md, as far as version 1.30.0 has them; a
 * test asks it. Left out on purpose: EPContext and Snpe, which carry a program for another runtime.
 */
export const CONTRIB_OPERATORS: ReadonlySet<string> = new Set(
  `Attention AttnLSTM BeamSearch BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu BifurcationDetector BitmaskBiasDropout BitmaskDropout
  CDist CausalConvWithState ComplexMul ComplexMulConj ConvTransposeWithDynamicPads CropAndResize DecoderAttention
  DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeBFP DequantizeLinear DequantizeWithOrder DynamicQuantizeLSTM
  DynamicQuantizeMatMul DynamicTimeWarping EmbedLayerNormalization EngramGate ExpandDims FastGelu FusedConv FusedGemm FusedMatMul
  FusedMatMulActivation GatedAdd GatedDeltaNet GatedRMSNorm GatedRelativePositionBias GatherBlockQuantized GatherND Gelu GemmFastGelu GemmFloat8
  GemmaRotaryEmbedding GreedySearch GridSample GroupNorm GroupQueryAttention Inverse Irfft IsAllFinite LinearAttention LinearAttentionGate
  LongformerAttention MRotaryEmbedding MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight MatMulBnb4 MatMulFpQ4 MatMulInteger16
  MatMulIntegerToFloat MatMulNBits MatMulNBitsMlp MatMulNBitsQkv MaxpoolWithMask MoE MulInteger MultiHeadAttention MurmurHash3 NGramHashMapping
  NGramRepeatBlock NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention PackedMultiHeadAttention Pad PagedAttention QAttention
  QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
  QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization
  QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeLinear QuantizeWithOrder QuickGelu Range ReduceSumInteger
  RelativePositionBias RemovePadding RestorePadding Rfft RotaryEmbedding SampleOp Sampling SkipGroupNorm SkipLayerNormalization
  SkipSimplifiedLayerNormalization SparseAttention SparseToDenseMatMul Tokenizer TorchEmbedding TransposeMatMul Trilu UnfoldTensor Unique
  VarlenCausalConvWithState WhisperBeamSearch WordConvEmbedding`.split(/\s+/),
);

/** One operator, or one of the model's own functions: what a node's `domain`, `op_type` and `overload` name. */
export interface Operator {
  domain: string;
  type: string;
  overload: string;
}

/** Two nodes of the same key do the same. The default domain is one, however it is spelt. */
export function operatorKey({ domain, type, overload }: Operator): string {
  return JSON.stringify([domain === 'ai.onnx' ? '' : domain, type, overload]);
}

/** Operators that draw by chance, with a seed or without: ONNX Runtime goes on drawing from run to run. Source: docs/OperatorKernels.md there. */
const RANDOM: ReadonlySet<string> = new Set(
  'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli Sampling'.split(' '),
);
/** They drop by chance where they are told that they train: by their third input; those that fuse it take it as their fifth. */
const DROPOUTS: Readonly<Record<string, number>> = { Dropout: 3, BitmaskDropout: 3, BiasDropout: 5 };

/** @param inputs how many it is given, up to the last that is not left out */
export function isRandomOperator({ type }: Operator, inputs: number): boolean {
  return RANDOM.has(type) || inputs >= (DROPOUTS[type] ?? Number.POSITIVE_INFINITY);
}

/** Operators that round activations to whole numbers of few bits, or may: what a sum's order changes by one rounding is then seen. */
export function isCoarseOperator({ type }: Operator): boolean {
  return /^(QLinear|QAttention|QGemm|QMoE|QOrdered|QEmbed|DynamicQuantize|MatMulNBits|MatMulInteger|ConvInteger|QuantizeLinear|MatMulBnb4|MatMulFpQ4)/.test(
    type,
  );
}

/** Whether ONNX Runtime has this operator itself. What ONNX's own domains hold it says when it loads the model. */
export function isKnownOperator({ domain, type }: Operator): boolean {
  return STANDARD_DOMAINS.has(domain) || (domain === CONTRIB_DOMAIN && CONTRIB_OPERATORS.has(type));
}
