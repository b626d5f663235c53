using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>The type words of the safetensors format.</summary>
internal static class TensorTypes
{
    /// <summary>Bytes of one element; 0 for a word the format does not have. Types of less than a byte (F4, F6) are not read.</summary>
    public static int Size(string storedType) => storedType switch
    {
        "BOOL" or "U8" or "I8" or "F8_E5M2" or "F8_E4M3" or "F8_E8M0" => 1,
        "U16" or "I16" or "F16" or "BF16" => 2,
        "U32" or "I32" or "F32" => 4,
        "U64" or "I64" or "F64" or "C64" => 8,
        _ => 0,
    };

    /// <summary>The type to compute with, or null where there is none.</summary>
    public static DType? ToDType(string storedType) => storedType switch
    {
        "F32" => DType.F32,
        "F16" => DType.F16,
        "BF16" => DType.BF16,
        "I8" => DType.I8,
        "I32" => DType.I32,
        "I64" => DType.I64,
        _ => null,
    };
}
