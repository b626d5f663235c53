namespace RetrievalEngine.Compute.Cpu;

/// <summary>The arguments that the forward and the backward pass of attention share, and which query sees which key.</summary>
internal readonly unsafe struct AttentionProblem
{
    /// <summary>Logits are kept in units of log₂ e: powers of two are cheaper than powers of e.</summary>
    public const float Log2E = 1.44269504f;

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

    /// <summary>
    /// log₂ e times the relative bias of distance i - j of head h at h · <see cref="BiasStride"/> + i - j, or null. 16 more floats may be read on
    /// either side of the distances that occur.
    /// </summary>
    public float* Bias { get; init; }

    /// <summary>Floats between two heads in <see cref="Bias"/>.</summary>
    public nint BiasStride { get; init; }

    /// <summary>Query heads that share a key head.</summary>
    public int Group => Heads / KvHeads;

    /// <summary>Panels of 16 columns that hold one head.</summary>
    public int HeadPanels => (HeadDim + AttentionTile.Columns - 1) / AttentionTile.Columns;

    /// <summary>Floats between two tokens of q and o.</summary>
    public nint QueryStride => Heads * (nint)HeadDim;

    /// <summary>Floats between two tokens of k and v.</summary>
    public nint KeyStride => KvHeads * (nint)HeadDim;

    /// <summary>What queries are multiplied by before the product with the keys: to get logits, or what goes into tanh.</summary>
    public float QueryFactor => Options.SoftCap > 0 ? Options.Scale / Options.SoftCap : Options.Scale * Log2E;

    /// <summary>What tanh is multiplied by; 0 for no cap.</summary>
    public float CapFactor => Options.SoftCap * Log2E;

    /// <summary>First token of a sequence.</summary>
    public int Start(int sequence) => CuSeqLens[sequence];

    /// <summary>Tokens of a sequence.</summary>
    public int Length(int sequence) => CuSeqLens[sequence + 1] - CuSeqLens[sequence];

    /// <summary>First key that query <paramref name="i"/> of a sequence sees.</summary>
    public int FirstKey(int i) => Options.WindowLeft < 0 || Options.WindowLeft >= i ? 0 : i - Options.WindowLeft;

    /// <summary>One past the last key that query <paramref name="i"/> of a sequence of <paramref name="length"/> sees.</summary>
    public int EndKey(int i, int length) =>
        Options.WindowRight < 0 || Options.WindowRight >= length - i ? length : i + Options.WindowRight + 1;

    /// <summary>First query that sees key <paramref name="j"/>.</summary>
    public int FirstQuery(int j) => Options.WindowRight < 0 || Options.WindowRight >= j ? 0 : j - Options.WindowRight;

    /// <summary>One past the last query of <paramref name="length"/> that sees key <paramref name="j"/>.</summary>
    public int EndQuery(int j, int length) =>
        Options.WindowLeft < 0 || Options.WindowLeft >= length - j ? length : j + Options.WindowLeft + 1;

    /// <summary>Head <paramref name="h"/> of q or o at a token.</summary>
    public long QueryOffset(int token, int h) => token * (long)QueryStride + h * (long)HeadDim;

    /// <summary>Key head <paramref name="h"/> of k or v at a token.</summary>
    public long KeyOffset(int token, int h) => token * (long)KeyStride + h * (long)HeadDim;
}
