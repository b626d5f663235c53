using System;

namespace RetrievalEngine.Compute;

/// <summary>Storage types. Arithmetic is float32 whatever the storage (design §3).</summary>
public enum DType
{
    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>IEEE binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>Signed byte; as a vector store, symmetric with one float32 scale = absmax / 127 a row.</summary>
    I8,

    /// <summary>32-bit integer: token ids, positions, cumulative lengths.</summary>
    I32,

    /// <summary>64-bit integer: row numbers.</summary>
    I64,
}

/// <summary>Facts about <see cref="DType"/>.</summary>
public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType dtype) => dtype switch
    {
        DType.F32 or DType.I32 => 4,
        DType.F16 or DType.BF16 => 2,
        DType.I8 => 1,
        DType.I64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    /// <summary>Whether it is one of the floating-point types that weights may have.</summary>
    public static bool IsFloat(this DType dtype) => dtype is DType.F32 or DType.F16 or DType.BF16;
}
