using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>A fresh network: matrices normal with the configuration's <c>initializer_range</c>, norms 1, biases 0. The same seed gives the same weights.</summary>
internal sealed class RandomWeights(double standardDeviation, ulong seed) : IWeightSource
{
    /// <inheritdoc/>
    public Tensor Load(IBackend backend, string name, Shape shape, ICollection<IDisposable> owned)
    {
        float[] values = new float[shape.Count];
        if (shape.Rank > 1) FillNormal(values, standardDeviation, seed ^ Hash(name));
        else if (name.EndsWith(".weight", StringComparison.Ordinal)) Array.Fill(values, 1);
        DeviceMemory memory = backend.Allocate(shape.Count * sizeof(float));
        owned.Add(memory);
        Tensor tensor = new(memory, 0, shape, DType.F32);
        backend.Upload<float>(values, tensor);
        return tensor;
    }

    /// <inheritdoc/>
    public void Complete(IReadOnlySet<string> used)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    /// <summary>FNV-1a, so that a weight's start depends on its name and not on the order of the network.</summary>
    public static ulong Hash(string name)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in name) hash = (hash ^ c) * 1099511628211;
        return hash;
    }

    /// <summary>Uniform in [0, 1) from the counter <paramref name="index"/>.</summary>
    public static double Uniform(ulong seed, ulong index) => (Dropout.Mix(seed + (index * 0x9E3779B97F4A7C15UL)) >> 11) * (1.0 / (1UL << 53));

    private static void FillNormal(float[] values, double standardDeviation, ulong seed)
    {
        // A model of billions would take one core minutes.
        const int Piece = 1 << 16;
        Parallel.For(0, (values.Length + Piece - 1) / Piece, piece =>
        {
            for (int i = piece * Piece; i < Math.Min(values.Length, (piece + 1) * Piece); i += 2)
            {
                // Box and Muller (1958): two uniforms to two normals.
                double radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(seed, (ulong)i)));
                (double sin, double cos) = Math.SinCos(2 * Math.PI * Uniform(seed, (ulong)i + 1));
                values[i] = (float)(standardDeviation * radius * cos);
                if (i + 1 < values.Length) values[i + 1] = (float)(standardDeviation * radius * sin);
            }
        });
    }
}
