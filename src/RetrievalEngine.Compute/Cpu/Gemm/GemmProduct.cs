namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>c [M, N] = f(alpha · Σ over segments of source · rightᵀ + bias), or added to c, which excludes f.</summary>
internal unsafe struct GemmProduct
{
    /// <summary>Where the result goes, and the distance of its rows.</summary>
    public float* C;

    /// <summary>Distance of the rows of <see cref="C"/>.</summary>
    public long StrideC;

    /// <summary>Columns.</summary>
    public long N;

    /// <summary>Factor.</summary>
    public float Alpha;

    /// <summary>Whether to add to c.</summary>
    public bool Accumulate;

    /// <summary>[N], or null.</summary>
    public float* Bias;

    /// <summary>f.</summary>
    public Activation Activation;

    /// <summary>The step of the plan in which it is computed.</summary>
    public int Stage;

    /// <summary>Its segments, in the order in which they are summed.</summary>
    public int FirstSegment, Segments;

    /// <summary>The chunks into which they fall, and behind the last.</summary>
    public GemmChunk* Chunks, EndChunk;

    /// <summary>K of all segments.</summary>
    public long K;

    /// <summary>Whether its tiles are half as wide, and how wide they are.</summary>
    public bool Narrow;

    /// <summary>Columns of a panel.</summary>
    public int Width;

    /// <summary>Floats of a packed panel of the right side.</summary>
    public long PanelFloats;

    /// <summary>Panels of columns.</summary>
    public readonly long Panels => (N + Width - 1) / Width;

    /// <summary>Panels that one pass computes.</summary>
    public long FirstPanel, EndPanel;

    /// <summary>Those panels, packed.</summary>
    public float* Packed;
}
