using System;
using System.Globalization;

namespace RetrievalEngine.Compute;

/// <summary>The sizes of a tensor, outermost first; rank 0 (a scalar) to 4. Row-major and contiguous, always.</summary>
public readonly record struct Shape
{
    private readonly long _d0, _d1, _d2, _d3;

    /// <summary>A shape of the given sizes.</summary>
    /// <exception cref="ArgumentException">More than four sizes, a negative one, or a product over 2^62.</exception>
    public Shape(params ReadOnlySpan<long> sizes)
    {
        if (sizes.Length > 4) throw new ArgumentException($"a tensor has at most 4 dimensions, not {sizes.Length}");
        Int128 count = 1;
        foreach (long size in sizes)
        {
            if (size < 0) throw new ArgumentException($"a dimension cannot be negative: {size}");
            count *= size;
        }

        if (count > 1L << 62) throw new ArgumentException("a tensor of more than 2^62 elements");
        Rank = sizes.Length;
        Count = (long)count;
        _d0 = sizes.Length > 0 ? sizes[0] : 1;
        _d1 = sizes.Length > 1 ? sizes[1] : 1;
        _d2 = sizes.Length > 2 ? sizes[2] : 1;
        _d3 = sizes.Length > 3 ? sizes[3] : 1;
    }

    /// <summary>How many dimensions.</summary>
    public int Rank { get; }

    /// <summary>How many elements.</summary>
    public long Count { get; }

    /// <summary>The size of dimension <paramref name="dimension"/>.</summary>
    public long this[int dimension]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)dimension, (uint)Rank, nameof(dimension));
            return dimension switch { 0 => _d0, 1 => _d1, 2 => _d2, _ => _d3 };
        }
    }

    /// <summary>The innermost size.</summary>
    public long Last => this[Rank - 1];

    /// <summary>The product of all sizes but the innermost: the number of rows when seen as a matrix.</summary>
    public long Rows => Last == 0 ? LeadingCount() : Count / Last;

    /// <inheritdoc/>
    public override string ToString()
    {
        Span<string> parts = new string[Rank];
        for (int i = 0; i < Rank; i++) parts[i] = this[i].ToString(CultureInfo.InvariantCulture);
        return $"[{string.Join(", ", parts!)}]";
    }

    private long LeadingCount()
    {
        long rows = 1;
        for (int i = 0; i < Rank - 1; i++) rows *= this[i];
        return rows;
    }
}
