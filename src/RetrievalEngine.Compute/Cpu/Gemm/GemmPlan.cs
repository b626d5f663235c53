using System;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Matrix products over the same M rows, run together so that a left operand is packed once for all that use it and a result is written once,
/// however many segments its k has (W beside a LoRA adapter's B). Products of a later stage may take results of an earlier one as sources: with many
/// rows only a block of them is in flight, and what the earlier stage wrote is still in the cache. Each sum runs over k in the same order whatever
/// the shape of the rest, the way it is computed, and the number of threads.
/// </summary>
internal unsafe ref struct GemmPlan
{
    // For fewer the lanes of a direct kernel would be more than half empty.
    private const long FewRows = 128, LeastDirectRows = 9;
    private readonly Span<GemmSource> _sources;
    private readonly Span<GemmSegment> _segments;
    private readonly Span<GemmProduct> _products;
    private readonly long _m;
    private int _sourceCount, _segmentCount, _productCount, _stage;

    /// <summary>An empty plan over <paramref name="m"/> rows, with room for what is to come.</summary>
    public GemmPlan(long m, Span<GemmSource> sources, Span<GemmSegment> segments, Span<GemmProduct> products)
    {
        _m = m;
        _sources = sources;
        _segments = segments;
        _products = products;
    }

    /// <summary>Adds a left operand and gives its number.</summary>
    public int Source(Operand operand, long k)
    {
        // A single row lies as it would when packed.
        if (_m == 1 && !operand.KMajor) operand = new Operand(operand.Data, operand.DType, 1, kMajor: true);
        _sources[_sourceCount] = new GemmSource { Operand = operand, K = k, Stage = _stage };
        return _sourceCount++;
    }

    /// <summary>Adds a product; its segments follow.</summary>
    public void Product(float* c, long strideC, long n, float alpha = 1, bool accumulate = false, float* bias = null,
        Activation activation = Activation.None)
    {
        int columns = Microkernel.Best.Columns;
        bool narrow = n <= columns / 2;
        _products[_productCount++] = new GemmProduct
        {
            C = c,
            StrideC = strideC,
            N = n,
            Alpha = alpha,
            Accumulate = accumulate,
            Bias = bias,
            Activation = activation,
            Stage = _stage,
            FirstSegment = _segmentCount,
            Narrow = narrow,
            Width = narrow ? columns / 2 : columns,
        };
    }

    /// <summary>Adds a segment to the latest product.</summary>
    public void Segment(int source, Operand right)
    {
        _segments[_segmentCount++] = new GemmSegment { Source = source, Right = right };
        _products[_productCount - 1].Segments++;
        _products[_productCount - 1].K += _sources[source].K;
    }

    /// <summary>What is added from now on may build on the products so far.</summary>
    public void NextStage() => _stage++;

    /// <summary>Computes.</summary>
    public readonly void Run(Workers workers, Scratch scratch)
    {
        if (_m == 0) return;
        fixed (GemmSource* sources = _sources)
        {
            fixed (GemmSegment* segments = _segments)
            {
                fixed (GemmProduct* products = _products)
                {
                    bool few = _m <= FewRows;
                    GemmTiles tiles = new(
                        sources, _sourceCount, segments, products, _productCount, _stage + 1, _m, few ? 1 : workers.Count, few && IsDirect());
                    if (few) GemmByColumns.Run(tiles, workers, scratch);
                    else GemmByRows.Run(tiles, workers, scratch);
                }
            }
        }
    }

    private readonly bool IsDirect()
    {
        foreach (GemmSegment segment in _segments[.._segmentCount])
        {
            if (segment.Right.KMajor) return false;
        }

        return _m >= LeastDirectRows && DirectKernel.IsSupported;
    }
}
