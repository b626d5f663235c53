using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Seeds of dropout masks, derived from one number a step so that a recomputed pass draws the same masks.</summary>
internal static class Seeds
{
    /// <summary>The seed of part <paramref name="part"/> under <paramref name="seed"/>; 0 (no dropout) stays 0.</summary>
    public static ulong Derive(ulong seed, int part) => seed == 0 ? 0 : Dropout.Mix(seed + ((ulong)(uint)(part + 1) * 0x9E3779B97F4A7C15UL)) | 1;
}
