import { describe, expect, test } from 'vitest';
import { explainFailure, explainWrong } from '../../../core/backends/explain.ts';
import type { BackendName } from '../../../core/contract/backends.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { messageOf } from '../../../core/contract/messages.ts';

const CUDA_CALL =
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true]';
const BRIDGE =
  '[E:onnxruntime:Default, provider_bridge_ort.cc:2195 TryGetProviderInfo_CUDA] /onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1778 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library';
const NOT_MADE = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';

/** What was said, on whose machine; `error` is what onnxruntime threw, `said` came on stderr. Each is from the report that is named. */
const RECORDED: {
  source: string;
  backend: BackendName;
  vendor: string;
  error: string;
  said?: string;
  reason: string;
  remedy: string | null;
}[] = [
  {
    source: 'github.com/onnxruntime/mobius/issues/316',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: `${CUDA_CALL} CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=c4327188c000000 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=336 ; expr=cudaSetDevice(info_.device_id); `,
    reason: 'backend.driver-old',
    remedy: 'backend.nvidia-driver.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/21435',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: `${CUDA_CALL} CUDA failure 804: forward compatibility was attempted on non supported HW ; GPU=0`,
    reason: 'backend.driver-old',
    remedy: 'backend.nvidia-driver.remedy',
  },
  {
    source: 'github.com/NVIDIA/nvidia-docker/issues/1256, easydiffusion/easydiffusion/issues/379',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: 'CUDA: Check failed: e == cudaSuccess (803 vs. 0) : system has unsupported display driver / cuda driver combination',
    reason: 'backend.reboot',
    remedy: 'backend.reboot.remedy',
  },
  {
    source: 'github.com/deepinsight/insightface/issues/2524',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: `${CUDA_CALL} CUDA failure 100: no CUDA-capable device is detected ; GPU=32712 ; hostname=HOME-PC ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=245 ; expr=cudaSetDevice(info_.device_id);`,
    reason: 'backend.no-nvidia-driver',
    remedy: 'backend.nvidia-driver.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/8093',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error:
      "Non-zero status code returned while running Gemm node. Name:'gemm' Status Message: CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
    reason: 'backend.gpu-old',
    remedy: null,
  },
  {
    source: 'onnxruntime-node 1.30 without its CUDA provider, Debian 12',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: NOT_MADE,
    said: `${BRIDGE} /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so with error: /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_shared.so: cannot open shared object file: No such file or directory`,
    reason: 'backend.cuda-not-added',
    remedy: 'backend.cuda-not-added.remedy',
  },
  {
    source: 'github.com/pykeio/ort/issues/548',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: NOT_MADE,
    said: `${BRIDGE} /home/meh/devel/ort-cuda-13-fail/target/debug/libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory`,
    reason: 'backend.libraries-missing',
    remedy: 'backend.cuda-libraries.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/25609',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error: NOT_MADE,
    said: `${BRIDGE} libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such file or directory`,
    reason: 'backend.libraries-missing',
    remedy: 'backend.cuda-libraries.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/26322',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error:
      'Exception during initialization: D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_call.cc:129 onnxruntime::CudaCall CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0 ; hostname=PC-5CG50729R0 ; expr=cudnnCreate(&cudnn_handle_);',
    reason: 'backend.cuda-libraries',
    remedy: 'backend.cuda-libraries.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/23301',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error:
      "EP_FAIL : Non-zero status code returned while running Conv node. Name:'/features/features.0/Conv' Status Message: Failed to initialize CUDNN Frontend",
    reason: 'backend.cuda-libraries',
    remedy: 'backend.cuda-libraries.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/16307',
    backend: 'cuda',
    vendor: 'NVIDIA',
    error:
      'Non-zero status code returned while running ReduceSum node. onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 939524096',
    reason: 'backend.gpu-full',
    remedy: 'backend.gpu-full.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/21432',
    backend: 'dml',
    vendor: 'Intel',
    error:
      'D:\\a_work\\1\\s\\onnxruntime\\core\\providers\\dml\\dml_provider_factory.cc(518)\\onnxruntime.DLL!69 EB64F9: (caller: 69EB6661) Exception(1) tid(5df8) 887A0004 The specified device interface or feature level is not supported on this system.',
    reason: 'backend.driver-old',
    remedy: 'backend.directx.remedy',
  },
  {
    source: 'github.com/yalue/onnxruntime_go/issues/107 (Windows in Chinese)',
    backend: 'dml',
    vendor: 'NVIDIA',
    error:
      'D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\dml_provider_factory.cc(520)\\onnxruntime.dll!00007FFBDAE7F9B9: (caller: 00007FFBDAE7FB21) Exception(1) tid(93ac) 887A0004 指定的设备接口或功能级别在此系统上不受支持。',
    reason: 'backend.driver-old',
    remedy: 'backend.directx.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/20575',
    backend: 'dml',
    vendor: 'NVIDIA',
    error:
      'C:\\build\\ort-1.17.3\\onnxruntime\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\DmlGraphFusionHelper.cpp(451)\\onnxruntime.dll!00007FFE11451461: (caller: 00007FFE114311D1) Exception(1) tid(ae54) 80070057 The parameter is incorrect. ',
    reason: 'backend.driver-old',
    remedy: 'backend.nvidia-driver.remedy',
  },
  {
    source: 'github.com/microsoft/Olive/issues/517',
    backend: 'dml',
    vendor: 'AMD',
    error:
      '[ONNXRuntimeError] : 1 : FAIL : D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\ExecutionProvider.cpp(896)\\onnxruntime_pybind11_state.pyd!00007FFE31C80201: (caller: 00007FFE31C80C2F) Exception(2) tid(3c14) 887A0006 The GPU will not respond to more commands, most likely because of an invalid command passed by the calling application.',
    reason: 'backend.gpu-lost',
    remedy: 'backend.gpu-lost.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/issues/22700',
    backend: 'dml',
    vendor: 'NVIDIA',
    error:
      '[ONNXRuntimeError] : 1 : FAIL : D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\DmlExecutionProvider\\src\\ExecutionProvider.cpp(962)\\onnxruntime_pybind11_state.pyd!00007FFABA30B0B1: (caller: 00007FFABA30B740) Exception(3) tid(5a68) 887A0005 The GPU device instance has been suspended. Use GetDeviceRemovedReason to determine the appropriate action.',
    reason: 'backend.gpu-lost',
    remedy: 'backend.gpu-lost.remedy',
  },
  {
    source: 'onnxruntime-node 1.30 where no Vulkan loader is, Debian 12',
    backend: 'webgpu',
    vendor: 'AMD',
    error:
      '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters',
    said: "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory\n    at operator() (/build/Release/_deps/dawn-src/src/dawn/native/vulkan/BackendVk.cpp:368)",
    reason: 'backend.no-vulkan-loader',
    remedy: 'backend.no-vulkan-loader.remedy',
  },
  {
    source: 'github.com/microsoft/onnxruntime/pull/25219',
    backend: 'webgpu',
    vendor: 'Intel',
    error:
      '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:87 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuBufferCacheConfig&, int, bool)::<lambda()>::<lambda(wgpu::RequestAdapterStatus, wgpu::Adapter, wgpu::StringView, wgpu::Adapter*)> status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters',
    reason: 'backend.no-adapter',
    remedy: 'backend.mesa.remedy',
  },
  {
    source: 'github.com/mlc-ai/web-llm/issues/60',
    backend: 'webgpu',
    vendor: 'NVIDIA',
    error: 'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY\n    at CheckVkOOMThenSuccessImpl',
    reason: 'backend.gpu-full',
    remedy: 'backend.gpu-full.remedy',
  },
  {
    source: 'github.com/KhronosGroup/MoltenVK/issues/2675',
    backend: 'webgpu',
    vendor: 'Apple',
    error:
      'VK_ERROR_DEVICE_LOST: Lost VkDevice after MTLCommandBuffer "vkQueueSubmit MTLCommandBuffer on Queue 0-0" execution failed (code 4): Ignored (for causing prior/excessive GPU errors)',
    reason: 'backend.gpu-lost',
    remedy: 'backend.gpu-lost.remedy',
  },
  {
    source: 'onnxruntime-node 1.30 asked for a provider of another platform',
    backend: 'dml',
    vendor: 'AMD',
    error: 'no available backend found. ERR: [dml] backend not found.',
    reason: 'backend.not-here',
    remedy: null,
  },
];

const refusal = (detail: string) => new HearthlendError('BACKEND_REFUSED', { backend: 'cuda', detail });

describe('what a failed try says, from real reports', () => {
  test.each(RECORDED)('$backend: $source', ({ backend, vendor, error, said = '', reason, remedy }) => {
    const found = explainFailure({ backend, vendor, platform: 'linux', error: refusal(error), said });
    expect([found.reason.key, found.remedy?.key ?? null]).toEqual([reason, remedy]);
    expect(messageOf(found.reason)).toMatch(/\w\.$/);
  });
});

test('a missing library is named', () => {
  const said = `${BRIDGE} libonnxruntime_providers_cuda.so with error: libcudnn_adv.so.9: cannot open shared object file: No such file or directory`;
  const { reason } = explainFailure({ backend: 'cuda', vendor: 'NVIDIA', platform: 'linux', error: refusal(NOT_MADE), said });
  expect(messageOf(reason)).toBe('Libraries are missing: libcudnn_adv.so.9.');
});

test("a driver that is too old is told which to install; other makers' users where to get one", () => {
  const of = (vendor: string | null, platform: NodeJS.Platform) =>
    explainFailure({ backend: 'webgpu', vendor, platform, error: refusal('Failed to get a WebGPU device: x'), said: '' }).remedy?.key;
  expect(messageOf(explainWrong({ backend: 'cuda', vendor: 'NVIDIA', platform: 'linux' }, 0.5, 2e-3).remedy as never)).toContain(
    '535 or newer',
  );
  expect(of('AMD', 'linux')).toBe('backend.mesa.remedy');
  expect(of('AMD', 'win32')).toBe('backend.vendor-driver.remedy');
  expect(of(null, 'linux')).toBe('backend.vendor-driver.remedy');
});

test('a crash, a hang, a wrong answer and an error that nobody knows are told as they are', () => {
  const said = 'WARNING: driver x is a work in progress';
  const of = (error: HearthlendError) =>
    messageOf(explainFailure({ backend: 'webgpu', vendor: 'AMD', platform: 'linux', error, said }).reason);
  expect(of(new HearthlendError('WORKER_CRASHED', { how: 'signal SIGSEGV' }))).toBe('WebGPU crashed: signal SIGSEGV.');
  expect(of(new HearthlendError('WORKER_TIMEOUT', { limitMs: 10_000 }))).toBe('WebGPU gave no answer within 10 seconds.');
  expect(of(refusal(`Invalid dispatch ${'x'.repeat(1000)}`))).toMatch(/^WebGPU could not start: Invalid dispatch x+…$/);
  const wrong = explainWrong({ backend: 'dml', vendor: 'Intel', platform: 'win32' }, 0.25, 2e-3);
  expect(messageOf(wrong.reason)).toBe('DirectML computes wrongly: its answer is off by 2.5e-1, 0.002 is allowed.');
});
