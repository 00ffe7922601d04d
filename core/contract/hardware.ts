import { z } from 'zod';

/** What is known of this machine so far. Unknown is null, never a guess. Sizes in bytes. */
export const HardwareReport = z.strictObject({
  os: z.strictObject({ platform: z.string(), name: z.string(), release: z.string(), arch: z.string() }),
  cpu: z.strictObject({ model: z.string(), cores: z.int().min(1) }),
  memory: z.strictObject({ totalBytes: z.int().min(0) }),
  gpus: z.array(
    z.strictObject({
      vendor: z.string().nullable(),
      model: z.string(),
      vramBytes: z.int().min(0).nullable(),
      /** A renderer that runs on the CPU: never counted as a GPU to earn with. */
      software: z.boolean(),
    }),
  ),
  disk: z.strictObject({ freeBytes: z.int().min(0).nullable() }),
});
export type HardwareReport = z.infer<typeof HardwareReport>;
