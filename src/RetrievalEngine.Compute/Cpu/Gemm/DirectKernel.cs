using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// The inner loop of a product with few rows and a right side that lies row by row, in AVX-512: six columns of c at a time, each element of the right
/// side, read where it lies, times up to 64 rows of c in four vectors. Nothing of the right side is packed, which would cost as much as multiplying
/// it. Each sum runs over k in order, as in <see cref="Kernel512"/>: the same bits.
/// </summary>
internal static unsafe class DirectKernel
{
    /// <summary>Columns of a tile: with one more, the lines of rows that lie 4096 bytes apart would crowd each other out of the level 1 cache.</summary>
    public const int Columns = 6;

    /// <summary>Most rows of a tile.</summary>
    public const int Rows = 64;

    private const int Lanes = 16;
    private const long Line = 64;

    /// <summary>Whether the machine has the instructions.</summary>
    public static bool IsSupported => Avx512F.IsSupported;

    /// <summary>
    /// Whether it reads a right side of this type where it lies; of others <see cref="Packing.Widen"/> makes floats of <see cref="Columns"/> rows first: taken one by one
    /// they would cost more than the products.
    /// </summary>
    public static bool Reads(DType dtype) => dtype is DType.F32 or DType.BF16;

    /// <summary>
    /// sums [Columns, width] = Σ over k of right[column, k] · left[k, width], width 16, 32, 48 or 64. Columns are <paramref name="stride"/> elements of
    /// <paramref name="dtype"/> apart; those from <paramref name="columns"/> on are the last one again. The tile at <paramref name="next"/> is
    /// fetched for a later call; any address will do. The type is one that it <see cref="Reads"/>.
    /// </summary>
    public static void Multiply(DType dtype, long k, byte* right, long stride, int columns, float* left, int width, float* sums, byte* next)
    {
        if (dtype == DType.BF16) Multiply<FloatBF16>(k, right, stride, columns, left, width, sums, next);
        else Multiply<FloatF32>(k, right, stride, columns, left, width, sums, next);
    }

    private static void Multiply<TFormat>(long k, byte* right, long stride, int columns, float* left, int width, float* sums, byte* next)
        where TFormat : struct, ISpreadFormat
    {
        stride *= TFormat.Size;
        switch (width / Lanes)
        {
            case 1:
                Multiply<TFormat, N1>(k, right, stride, columns, left, sums, next);
                break;
            case 2:
                Multiply<TFormat, N2>(k, right, stride, columns, left, sums, next);
                break;
            case 3:
                Multiply<TFormat, N3>(k, right, stride, columns, left, sums, next);
                break;
            default:
                Multiply<TFormat, N4>(k, right, stride, columns, left, sums, next);
                break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TFormat, TVectors>(long k, byte* right, long stride, int columns, float* left, float* sums, byte* next)
        where TFormat : struct, ISpreadFormat
        where TVectors : struct, IConstant
    {
        byte* right1 = right + (columns > 1 ? stride : 0), right2 = right1 + (columns > 2 ? stride : 0), right3 = right2 + (columns > 3 ? stride : 0);
        byte* right4 = right3 + (columns > 4 ? stride : 0), right5 = right4 + (columns > 5 ? stride : 0);
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector512<float> b0 = default, b1 = default, b2 = default, b3 = default;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default;
        Vector512<float> d0 = default, d1 = default, d2 = default, d3 = default;
        Vector512<float> e0 = default, e1 = default, e2 = default, e3 = default;
        Vector512<float> f0 = default, f1 = default, f2 = default, f3 = default;
        for (long p = 0, end = k * TFormat.Size; p < end;)
        {
            byte* ahead = next + p;
            Sse.Prefetch1(ahead);
            Sse.Prefetch1(ahead + stride);
            ahead += 2 * stride;
            Sse.Prefetch1(ahead);
            Sse.Prefetch1(ahead + stride);
            ahead += 2 * stride;
            Sse.Prefetch1(ahead);
            Sse.Prefetch1(ahead + stride);
            for (long line = long.Min(end, p + Line); p < line; p += TFormat.Size)
            {
                Vector512<float> x0 = Vector512.Load(left), x1 = default, x2 = default, x3 = default;
                if (TVectors.Value > 1) x1 = Vector512.Load(left + Lanes);
                if (TVectors.Value > 2) x2 = Vector512.Load(left + 2 * Lanes);
                if (TVectors.Value > 3) x3 = Vector512.Load(left + 3 * Lanes);
                left += TVectors.Value * Lanes;
                Add<TFormat, TVectors>(right + p, x0, x1, x2, x3, ref a0, ref a1, ref a2, ref a3);
                Add<TFormat, TVectors>(right1 + p, x0, x1, x2, x3, ref b0, ref b1, ref b2, ref b3);
                Add<TFormat, TVectors>(right2 + p, x0, x1, x2, x3, ref c0, ref c1, ref c2, ref c3);
                Add<TFormat, TVectors>(right3 + p, x0, x1, x2, x3, ref d0, ref d1, ref d2, ref d3);
                Add<TFormat, TVectors>(right4 + p, x0, x1, x2, x3, ref e0, ref e1, ref e2, ref e3);
                Add<TFormat, TVectors>(right5 + p, x0, x1, x2, x3, ref f0, ref f1, ref f2, ref f3);
            }
        }

        Store<TVectors>(a0, a1, a2, a3, sums);
        Store<TVectors>(b0, b1, b2, b3, sums + TVectors.Value * Lanes);
        Store<TVectors>(c0, c1, c2, c3, sums + 2 * TVectors.Value * Lanes);
        Store<TVectors>(d0, d1, d2, d3, sums + 3 * TVectors.Value * Lanes);
        Store<TVectors>(e0, e1, e2, e3, sums + 4 * TVectors.Value * Lanes);
        Store<TVectors>(f0, f1, f2, f3, sums + 5 * TVectors.Value * Lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat, TVectors>(byte* right, Vector512<float> x0, Vector512<float> x1, Vector512<float> x2, Vector512<float> x3,
        ref Vector512<float> sum0, ref Vector512<float> sum1, ref Vector512<float> sum2, ref Vector512<float> sum3)
        where TFormat : struct, ISpreadFormat
        where TVectors : struct, IConstant
    {
        Vector512<float> y = TFormat.Spread(right);
        sum0 = Avx512F.FusedMultiplyAdd(y, x0, sum0);
        if (TVectors.Value > 1) sum1 = Avx512F.FusedMultiplyAdd(y, x1, sum1);
        if (TVectors.Value > 2) sum2 = Avx512F.FusedMultiplyAdd(y, x2, sum2);
        if (TVectors.Value > 3) sum3 = Avx512F.FusedMultiplyAdd(y, x3, sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVectors>(Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3, float* sums)
        where TVectors : struct, IConstant
    {
        s0.Store(sums);
        if (TVectors.Value > 1) s1.Store(sums + Lanes);
        if (TVectors.Value > 2) s2.Store(sums + 2 * Lanes);
        if (TVectors.Value > 3) s3.Store(sums + 3 * Lanes);
    }
}
