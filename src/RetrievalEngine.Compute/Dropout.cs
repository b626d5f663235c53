namespace RetrievalEngine.Compute;

/// <summary>
/// Dropout by counter-based random numbers: whether an element is kept depends on <see cref="Seed"/> and its index alone, so that a recomputed forward
/// pass, the backward pass, every backend and a resumed run see the same mask. Element i is dropped when the upper 32 bits of
/// SplitMix64(Seed + i · 0x9E3779B97F4A7C15) are below Probability · 2^32; kept elements are multiplied by 1 / (1 - Probability).
/// </summary>
/// <param name="Probability">0 for no dropout; below 1.</param>
/// <param name="Seed">One for each layer, projection group and step.</param>
public readonly record struct Dropout(float Probability, ulong Seed)
{
    /// <summary>No dropout.</summary>
    public static Dropout None => default;

    /// <summary>Finaliser of SplitMix64 (Steele, Lea, Flood 2014).</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }

    /// <summary>Whether element <paramref name="index"/> is kept.</summary>
    public bool Keeps(ulong index) => (uint)(Mix(Seed + index * 0x9E3779B97F4A7C15UL) >> 32) >= Threshold;

    /// <summary>Below this 32-bit number an element is dropped.</summary>
    public uint Threshold => (uint)(Probability * 4294967296.0);
}
