namespace RetrievalEngine.Compute.Cpu;

/// <summary>The arguments that the forward and the backward pass of attention share, and which query sees which key.</summary>
internal readonly unsafe struct AttentionProblem
{
    /// <summary>q [T, Heads, D].</summary>
    public required float* Q { get; init; }

    /// <summary>k [T, KvHeads, D].</summary>
    public required float* K { get; init; }

    /// <summary>v [T, KvHeads, D].</summary>
    public required float* V { get; init; }

    /// <summary>o [T, Heads, D].</summary>
    public required float* O { get; init; }

    /// <summary>lse [Heads, T].</summary>
    public required float* Lse { get; init; }

    /// <summary>cu_seqlens [B + 1].</summary>
    public required int* CuSeqLens { get; init; }

    /// <summary>T.</summary>
    public required int Tokens { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key heads.</summary>
    public required int KvHeads { get; init; }

    /// <summary>D.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Scale, windows, soft cap.</summary>
    public required AttentionOptions Options { get; init; }

    /// <summary>log₂ e times the relative bias of distance i - j of head h at h · <see cref="BiasStride"/> + i - j, or null. 16 more floats may be read on either side of it.</summary>
    public float* Bias { get; init; }

    /// <summary>Distance between two heads in <see cref="Bias"/>.</summary>
    public nint BiasStride { get; init; }

    /// <summary>Query heads that share a key head.</summary>
    public int Group => Heads / KvHeads;

    /// <summary>Panels of 16 columns that hold one head.</summary>
    public int HeadPanels => (HeadDim + AttentionTile.Columns - 1) / AttentionTile.Columns;

    /// <summary>First key that query <paramref name="i"/> of a sequence sees.</summary>
    public int FirstKey(int i) => Options.WindowLeft < 0 || Options.WindowLeft >= i ? 0 : i - Options.WindowLeft;

    /// <summary>One past the last key that query <paramref name="i"/> of a sequence of <paramref name="length"/> sees.</summary>
    public int EndKey(int i, int length) => Options.WindowRight < 0 || Options.WindowRight >= length - i ? length : i + Options.WindowRight + 1;

    /// <summary>First query that sees key <paramref name="j"/>.</summary>
    public int FirstQuery(int j) => Options.WindowRight < 0 || Options.WindowRight >= j ? 0 : j - Options.WindowRight;

    /// <summary>One past the last query that sees key <paramref name="j"/>.</summary>
    public int EndQuery(int j, int length) => Options.WindowLeft < 0 || Options.WindowLeft >= length - j ? length : j + Options.WindowLeft + 1;

    /// <summary>q or o of head <paramref name="h"/> at a token.</summary>
    public long QueryOffset(int token, int h) => (((long)token * Heads) + h) * HeadDim;

    /// <summary>k or v of key head <paramref name="h"/> at a token.</summary>
    public long KeyOffset(int token, int h) => (((long)token * KvHeads) + h) * HeadDim;
}
