namespace RetrievalEngine.Search;

/// <summary>How the elements of rows are kept. What is searched is what is kept: exactness is meant for the vectors that the kept bytes stand for.</summary>
public enum VectorStorage
{
    /// <summary>IEEE binary32.</summary>
    Float32,

    /// <summary>IEEE binary16.</summary>
    Float16,

    /// <summary>bfloat16.</summary>
    BFloat16,

    /// <summary>Signed bytes and one float32 scale a row: the element is scale · code.</summary>
    Int8,

    /// <summary>One bit an element, the first in the lowest bit of the first byte, and one float32 scale a row: the element is scale where the bit is set, else -scale.</summary>
    Binary,
}
