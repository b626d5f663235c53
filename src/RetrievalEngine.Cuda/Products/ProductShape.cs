using System;

namespace RetrievalEngine.Cuda.Products;

/// <summary>What one block computes: the shapes of kernels/matmul.cu.</summary>
/// <param name="Name">In kernel names.</param>
/// <param name="M">Rows.</param>
/// <param name="N">Columns.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="SharedBytes">Its ring of tiles.</param>
/// <param name="Rate">Results a multiprocessor gets done in a unit of time, relative to the widest shape: larger tiles read less for each.</param>
internal sealed record ProductShape(string Name, int M, int N, int Threads, int SharedBytes, double Rate)
{
    /// <summary>From the largest to the smallest.</summary>
    public static ProductShape[] All { get; } =
    [
        new("wide", 128, 256, 256, 4 * (128 + 256) * 32 * 2, 1.0),
        new("large", 128, 128, 128, 3 * (128 + 128) * 32 * 2, 0.9),
        new("medium", 64, 64, 128, 3 * (64 + 64) * 64 * 2, 0.6),
        new("small", 32, 32, 64, 6 * (32 + 32) * 64 * 2, 0.25),
    ];

    /// <summary>Whether there is a kernel for the form: a transposed a is never short, and both transposed are for completeness.</summary>
    public bool Has(bool transA, bool transB) => !transA || (transB ? Name == "medium" : Name != "small");

    /// <summary>Blocks for m × n results.</summary>
    public long Blocks(long m, long n) => (m + M - 1) / M * ((n + N - 1) / N);

    /// <summary>Estimated time of so many blocks: by how many fall on one multiprocessor.</summary>
    public double Time(long blocks, int multiprocessors) => Math.Ceiling((double)blocks / multiprocessors) * M * N / Rate;
}
