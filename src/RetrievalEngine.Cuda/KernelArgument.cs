using System.Runtime.CompilerServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

/// <summary>
/// One argument of a launch, by value. The C# type says the kernel's: <see cref="Tensor"/> is a pointer to its first element (null for none), int is int, long
/// int64_t, uint and ulong their unsigned kinds, float is float; <see cref="Struct"/> passes a plain struct of one layout on both sides.
/// </summary>
internal readonly unsafe struct KernelArgument
{
    private readonly ulong _bits;
    private readonly void* _struct;

    private KernelArgument(ulong bits) => _bits = bits;

    private KernelArgument(void* pointer) => _struct = pointer;

    public static implicit operator KernelArgument(Tensor tensor) => new(CudaMemory.Address(tensor));

    public static implicit operator KernelArgument(int value) => new((uint)value);

    public static implicit operator KernelArgument(uint value) => new(value);

    public static implicit operator KernelArgument(long value) => new((ulong)value);

    public static implicit operator KernelArgument(ulong value) => new(value);

    public static implicit operator KernelArgument(float value) => new(System.BitConverter.SingleToUInt32Bits(value));

    /// <summary>The struct at <paramref name="value"/>, which must be a local variable that lives until the launch returns.</summary>
    public static KernelArgument Struct<T>(ref T value)
        where T : unmanaged => new(Unsafe.AsPointer(ref value));

    /// <summary>Where the driver reads the argument at <paramref name="argument"/>.</summary>
    public static void* Location(KernelArgument* argument) => argument->_struct is null ? &argument->_bits : argument->_struct;
}
