// Activation functions and their gradients, elementwise: y = f(x), and g f'(x), for some of them
// from the result y.

#define UNARY(name, parameters, ...) \
    KERNEL(name, parameters, const T* const in[1] = {x}; \
           rewrite(in, y, n, thread_number(), thread_count(), [&](i64, const A* v_) { \
               A v = v_[0]; \
               __VA_ARGS__ \
           }))
#define BINARY(name, parameters, ...) \
    KERNEL(name, parameters, const T* const in[2] = {g, x}; \
           rewrite(in, y, n, thread_number(), thread_count(), [&](i64, const A* v_) { \
               A d = v_[0], v = v_[1]; \
               __VA_ARGS__ \
           }))
#define X const T* x, T* y, i64 n
#define GX const T* g, const T* x, T* y, i64 n

#define ROOT_HALF A(0.70710678118654752)
#define INV_SQRT2PI A(0.39894228040143268)
#define GELU_A A(0.79788456080286536)
#define GELU_B A(0.044715)

// erfc keeps its digits where x is far below zero; 1 + erf does not.
UNARY(gelu, (X), return v * (A(0.5) * erfc_(-v * ROOT_HALF));)
BINARY(gelu_backward, (GX),
       return d * (A(0.5) * erfc_(-v * ROOT_HALF) + v * (INV_SQRT2PI * exp_(A(-0.5) * v * v)));)
UNARY(gelu_tanh, (X), return A(0.5) * v * (A(1) + tanh_(GELU_A * (v + GELU_B * v * v * v)));)
BINARY(gelu_tanh_backward, (GX),
       A t = tanh_(GELU_A * (v + GELU_B * v * v * v));
       A inner = GELU_A * (A(1) + A(3) * GELU_B * v * v);
       return d * (A(0.5) * (A(1) + t) + A(0.5) * v * (A(1) - t * t) * inner);)
UNARY(silu, (X), return v * sigmoid_(v);)
BINARY(silu_backward, (GX), A s = sigmoid_(v); return d * (s * (A(1) + v * (A(1) - s)));)
UNARY(relu, (X), return v < A(0) ? A(0) : v;)
UNARY(leaky_relu, (X, double slope), return v > A(0) ? v : v * A(slope);)
BINARY(leaky_relu_backward, (GX, double slope), return v > A(0) ? d : d * A(slope);)
UNARY(elu, (X, double alpha, double scale, double input_scale),
      return v > A(0) ? v * A(scale) : A(alpha * scale) * expm1_(v * A(input_scale));)
BINARY(elu_backward, (GX, double alpha, double scale, double input_scale),
       return d * (v > A(0) ? A(scale)
                            : A(alpha * scale * input_scale) * exp_(v * A(input_scale)));)
UNARY(sigmoid, (X), return sigmoid_(v);)
UNARY(tanh, (X), return tanh_(v);)

// Of these the gradient is a function of the result: x is y here.
BINARY(relu_backward, (GX), return v <= A(0) ? A(0) : d;)
BINARY(sigmoid_backward, (GX), return d * (A(1) - v) * v;)
BINARY(tanh_backward, (GX), return d * (A(1) - v * v);)
