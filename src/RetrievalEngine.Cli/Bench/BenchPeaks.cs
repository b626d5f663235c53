using System;
using System.Globalization;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli.Bench;

/// <summary>What the machine can do at best, from which floors follow.</summary>
/// <param name="Flops">Floating-point operations a second in products: of 16-bit numbers on a GPU, of float32 on the CPU.</param>
/// <param name="FlopsSource">Where that is from.</param>
/// <param name="Bytes">Bytes a second between memory and the processor.</param>
/// <param name="BytesSource">Where that is from.</param>
/// <param name="IsDevice">Whether it is a GPU.</param>
internal sealed record BenchPeaks(double Flops, string FlopsSource, double Bytes, string BytesSource, bool IsDevice)
{
    private const string Given = "given";
    private const long LargestCopy = 1L << 29;

    /// <summary>The peaks of <paramref name="backend"/>: those given, else measured, but a GPU's products, which are calculated.</summary>
    /// <param name="backend">The machine.</param>
    /// <param name="teraflops">Of products, where it is known.</param>
    /// <param name="gigabytes">Of memory, where it is known.</param>
    /// <param name="clock">What measures a GPU's copies.</param>
    /// <param name="copyBytes">How many bytes a GPU copies for that; null for many.</param>
    public static BenchPeaks Of(IBackend backend, double? teraflops, double? gigabytes, BenchClock clock, long? copyBytes)
    {
        if (backend is CudaBackend cuda)
        {
            (double bytes, string from) = gigabytes is { } known ? (known * 1e9, Given) : (Copy(backend, clock, copyBytes ?? LargestCopy), "a copy, measured");
            return teraflops is { } given
                ? new(given * 1e12, Given, bytes, from, true)
                : new(cuda.Device.MatrixFlops, $"{cuda.Device.Multiprocessors} multiprocessors at {cuda.Device.ClockHertz / 1e9:F2} GHz", bytes, from, true);
        }

        int threads = ((CpuBackend)backend).Threads;
        return new(
            teraflops * 1e12 ?? Peak.Fma(threads), teraflops is null ? "measured" : Given,
            gigabytes * 1e9 ?? Peak.Read(threads), gigabytes is null ? "reading, measured" : Given, false);
    }

    /// <summary>Operations a second on <paramref name="dtype"/>: a GPU multiplies float32 as six products of 16-bit parts; bytes go twice as fast.</summary>
    public double FlopsOf(DType dtype) => dtype switch
    {
        DType.I8 => 2 * Flops,
        DType.F32 when IsDevice => Flops / 6,
        _ => Flops,
    };

    /// <summary>The shortest time in which the machine could do <paramref name="work"/>.</summary>
    public double Floor(BenchCase work) => Math.Max(work.Flops / FlopsOf(work.DType), work.Bytes / Bytes);

    /// <summary>Whether it is arithmetic that bounds <paramref name="work"/>, not memory.</summary>
    public bool IsArithmetic(BenchCase work) => work.Flops / FlopsOf(work.DType) > work.Bytes / Bytes;

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"peaks {BenchReport.Rate(Flops, "FLOP/s")} ({FlopsSource}), {BenchReport.Rate(Bytes, "B/s")} ({BytesSource})");

    private static double Copy(IBackend backend, BenchClock clock, long bytes)
    {
        using DeviceMemory memory = backend.Allocate(2 * bytes);
        Tensor from = new(memory, 0, new Shape(bytes), DType.I8), to = new(memory, bytes, new Shape(bytes), DType.I8);
        backend.Fill(new Tensor(memory, 0, new Shape(bytes / 2), DType.F32), 1);
        return 2 * bytes / clock.Measure(() => backend.Copy(from, to)).Median;
    }
}
