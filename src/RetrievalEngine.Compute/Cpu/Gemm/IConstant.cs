namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>A number that the compiler knows, so that one method becomes a family.</summary>
internal interface IConstant
{
    /// <summary>The number.</summary>
    static abstract int Value { get; }
}

/// <summary>1.</summary>
internal readonly struct N1 : IConstant
{
    public static int Value => 1;
}

/// <summary>2.</summary>
internal readonly struct N2 : IConstant
{
    public static int Value => 2;
}

/// <summary>3.</summary>
internal readonly struct N3 : IConstant
{
    public static int Value => 3;
}

/// <summary>4.</summary>
internal readonly struct N4 : IConstant
{
    public static int Value => 4;
}

/// <summary>5.</summary>
internal readonly struct N5 : IConstant
{
    public static int Value => 5;
}

/// <summary>6.</summary>
internal readonly struct N6 : IConstant
{
    public static int Value => 6;
}

/// <summary>7.</summary>
internal readonly struct N7 : IConstant
{
    public static int Value => 7;
}

/// <summary>8.</summary>
internal readonly struct N8 : IConstant
{
    public static int Value => 8;
}

/// <summary>9.</summary>
internal readonly struct N9 : IConstant
{
    public static int Value => 9;
}

/// <summary>10.</summary>
internal readonly struct N10 : IConstant
{
    public static int Value => 10;
}

/// <summary>11.</summary>
internal readonly struct N11 : IConstant
{
    public static int Value => 11;
}

/// <summary>12.</summary>
internal readonly struct N12 : IConstant
{
    public static int Value => 12;
}

/// <summary>13.</summary>
internal readonly struct N13 : IConstant
{
    public static int Value => 13;
}

/// <summary>14.</summary>
internal readonly struct N14 : IConstant
{
    public static int Value => 14;
}

/// <summary>16.</summary>
internal readonly struct N16 : IConstant
{
    public static int Value => 16;
}
