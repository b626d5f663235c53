using System;

namespace RetrievalEngine.Cuda.Products;

/// <summary>What one block computes: the shapes of kernels/matmul.cu, and the one of kernels/hopper/matmul_hopper.cu.</summary>
/// <remarks>
/// Rates follow from an A100's published peaks. For each step of k a multiprocessor does 1,024 multiply-adds a clock (312 TFLOP/s), reads or writes 128 bytes of
/// shared memory, and receives 47 bytes from L2 (5,120 for 108 multiprocessors). A block needs M · N of the first; 2 (M + N) bytes come from L2 and are written to
/// shared memory, and each warp of m × n reads 2 (m + n) of them:
/// <code>
///            tensor cores   shared memory   L2     clocks that a step of k takes
///   wide     32             22              16     what the tensor cores do at best
///   large    16             12              11     the same
///   medium   4              6               5.4    1.5 times as much
///   small    1              2.5             2.7    2.7 times as much
/// </code>
/// On an H200 mma.sync reaches some 600 TFLOP/s and wgmma, as cuBLAS has it, 780: 1.3 times as much. Of two equals the larger block is taken.
/// </remarks>
/// <param name="Name">In kernel names.</param>
/// <param name="M">Rows.</param>
/// <param name="N">Columns.</param>
/// <param name="Threads">Threads of a block.</param>
/// <param name="SharedBytes">Its ring of tiles.</param>
/// <param name="Rate">Results a multiprocessor gets done in a unit of time, relative to the widest shape: larger tiles read less for each.</param>
internal sealed record ProductShape(string Name, int M, int N, int Threads, int SharedBytes, double Rate)
{
    /// <summary>On compute capability 9.0 alone; a block stays for many tiles.</summary>
    public static ProductShape Hopper { get; } = new("hopper", 128, 256, 384, 4 * (128 + 256) * 64 * 2 + 8 * 16 * 40 * 4 + 2 * 4 * 8, 1.3);

    /// <summary>From the largest to the smallest.</summary>
    public static ProductShape[] All { get; } =
    [
        Hopper,
        new("wide", 128, 256, 256, 4 * (128 + 256) * 32 * 2, 1.0),
        new("large", 128, 128, 128, 3 * (128 + 128) * 32 * 2, 1.0),
        new("medium", 64, 64, 128, 3 * (64 + 64) * 64 * 2, 0.67),
        new("small", 32, 32, 64, 6 * (32 + 32) * 64 * 2, 0.37),
    ];

    /// <summary>Whether there is a kernel for the form on a device: a transposed a is never short, and both transposed are for completeness.</summary>
    public bool Has(bool transA, bool transB, CudaDevice device) =>
        (!transA || (transB ? Name == "medium" : Name != "small")) && (this != Hopper || device is { Major: 9, Minor: 0 });

    /// <summary>Blocks for m × n results.</summary>
    public long Blocks(long m, long n) => (m + M - 1) / M * ((n + N - 1) / N);

    /// <summary>Estimated time of so many blocks: by how many fall on one multiprocessor.</summary>
    public double Time(long blocks, int multiprocessors) => Math.Ceiling((double)blocks / multiprocessors) * M * N / Rate;
}
