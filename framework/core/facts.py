"""What functions take and give, as measured: `core.docstrings` makes sentences of it.

Written by ``python tests/framework/measured_types.py``; a test compares it with what really runs.
"""

from __future__ import annotations

__all__ = ["DTYPES", "ERRORS", "SHAPES"]

DTYPES = {
    "!N !N !N = !N": """
Tensor.bitwise_left_shift_ Tensor.bitwise_right_shift_ Tensor.gcd_ Tensor.lcm_
array_api.bitwise_left_shift array_api.bitwise_right_shift bitwise_left_shift
bitwise_right_shift gcd lcm
""",
    "!N !N !N = =": """
Tensor.bitwise_and_ Tensor.bitwise_not_ Tensor.bitwise_or_ Tensor.bitwise_xor_
array_api.bitwise_and array_api.bitwise_invert array_api.bitwise_or array_api.bitwise_xor
bitwise_and bitwise_not bitwise_or bitwise_xor
""",
    "!N !N !N l !N": """
bincount
""",
    "!N = !N !N !N": """
ctc_loss histogram histogramdd nn.functional.ctc_loss
""",
    "!N = !N F F": """
special.airy_ai special.bessel_j0 special.bessel_j1 special.bessel_y0 special.bessel_y1
special.chebyshev_polynomial_t special.chebyshev_polynomial_u special.chebyshev_polynomial_v
special.chebyshev_polynomial_w special.erfcx special.hermite_polynomial_h
special.hermite_polynomial_he special.laguerre_polynomial_l special.legendre_polynomial_p
special.log_ndtr special.modified_bessel_i0 special.modified_bessel_i1
special.modified_bessel_k0 special.modified_bessel_k1 special.ndtri
special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1
special.shifted_chebyshev_polynomial_t special.shifted_chebyshev_polynomial_u
special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w
special.spherical_bessel_j0 special.zeta
""",
    "!N = = !R !R": """
linalg.ldl_solve triangular_solve
""",
    "!N = =r !N !N": """
svd_lowrank
""",
    "!N = =r !V !V": """
pca_lowrank
""",
    "!R !R r !R !R": """
imag istft view_as_real view_as_real_copy
""",
    "!R !R|= !R|= !R !R": """
Tensor.float_power_
""",
    "!R = !R !R !R": """
nanquantile quantile
""",
    "!R = = !R !R": """
array_api.linalg.cholesky array_api.linalg.det array_api.linalg.inv array_api.linalg.pinv
array_api.linalg.qr array_api.linalg.solve cholesky cholesky_inverse cholesky_solve det geqrf
inverse linalg.cholesky linalg.householder_product linalg.inv linalg.lu linalg.lu_solve
linalg.pinv linalg.qr linalg.solve linalg.solve_triangular linalg.tensorinv linalg.tensorsolve
logdet lu_solve orgqr ormqr pinverse qr
""",
    "!R = = l !R": """
linalg.vander vander
""",
    "!R = =r !R !R": """
array_api.linalg.slogdet array_api.linalg.svd linalg.slogdet linalg.svd slogdet svd
""",
    "!R = r !R !R": """
array_api.linalg.eigvalsh array_api.linalg.svdvals linalg.cond linalg.eigvalsh linalg.norm
linalg.svdvals nuclear_norm
""",
    "!R = r F F": """
array_api.fft.hfft array_api.fft.irfft array_api.fft.irfftn fft.hfft fft.hfft2 fft.hfftn
fft.irfft fft.irfft2 fft.irfftn
""",
    "!R = r= !R !R": """
array_api.linalg.eigh linalg.eigh lobpcg
""",
    "!R =i =i !R !R": """
linalg.cholesky_ex linalg.inv_ex linalg.ldl_factor linalg.ldl_factor_ex linalg.lu_factor
linalg.lu_factor_ex linalg.solve_ex lu
""",
    "!R =l =rl !R !R": """
linalg.lstsq
""",
    "!R l l !R !R": """
array_api.linalg.matrix_rank linalg.matrix_rank
""",
    "!R x !R !R !R": """
complex polar view_as_complex view_as_complex_copy
""",
    "!R x !R C C": """
array_api.fft.ihfft array_api.fft.rfft array_api.fft.rfftn fft.ihfft fft.ihfft2 fft.ihfftn
fft.rfft fft.rfft2 fft.rfftn
""",
    "!R x = !R !R": """
array_api.linalg.eig array_api.linalg.eigvals linalg.eig linalg.eigvals stft
""",
    "!R x = C C": """
array_api.fft.fft array_api.fft.fftn array_api.fft.ifft array_api.fft.ifftn fft.fft fft.fft2
fft.fftn fft.ifft fft.ifft2 fft.ifftn
""",
    "- - - - -": """
Tensor.const_data_ptr Tensor.dim_order Tensor.is_pinned Tensor.is_set_to Tensor.is_shared
Tensor.ndimension Tensor.record_stream Tensor.storage Tensor.storage_type Tensor.untyped_storage
allclose array_api.can_cast array_api.result_type equal get_device is_conj is_neg is_nonzero
is_same_size is_signed
""",
    "= = !N !N !N": """
Tensor.frac_ Tensor.hypot_ Tensor.igamma_ Tensor.igammac_ Tensor.log_normal_ Tensor.nextafter_
_dirichlet_grad _sample_dirichlet _standard_gamma adaptive_avg_pool1d array_api.hypot
array_api.nextafter batch_norm bernoulli binary_cross_entropy_with_logits celu celu_ frac
grid_sampler grid_sampler_2d grid_sampler_3d group_norm hardshrink histc hypot igamma igammac
instance_norm layer_norm log_softmax logaddexp2 max_pool1d native_batch_norm native_group_norm
native_layer_norm nextafter nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d
nn.functional.adaptive_max_pool3d nn.functional.batch_norm nn.functional.binary_cross_entropy
nn.functional.binary_cross_entropy_with_logits nn.functional.cross_entropy nn.functional.elu
nn.functional.elu_ nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d
nn.functional.gelu nn.functional.glu nn.functional.grid_sample nn.functional.group_norm
nn.functional.gumbel_softmax nn.functional.hardsigmoid nn.functional.hardswish
nn.functional.huber_loss nn.functional.instance_norm nn.functional.interpolate
nn.functional.layer_norm nn.functional.leaky_relu nn.functional.leaky_relu_
nn.functional.linear_cross_entropy nn.functional.log_softmax nn.functional.logsigmoid
nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
nn.functional.mish nn.functional.mse_loss nn.functional.multi_margin_loss
nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
nn.functional.nll_loss nn.functional.smooth_l1_loss nn.functional.softmax nn.functional.softplus
nn.functional.softshrink poisson prelu rrelu rrelu_ segment_reduce selu selu_ softmax
special.gammainc special.gammaincc special.log_softmax special.softmax
""",
    "= = !N !N !R": """
nn.functional.softmin
""",
    "= = !N !N|!N|!N|!N|= !N": """
avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d
""",
    "= = !N !N|!N|!N|!N|F !N": """
nn.functional.local_response_norm
""",
    "= = !N !N|!N|!N|!N|F F": """
nn.functional.lp_pool1d nn.functional.lp_pool2d nn.functional.lp_pool3d
""",
    "= = !N !R !N": """
nn.functional.multi_head_attention_forward
""",
    "= = !N !R !R": """
Tensor.arctan2_ Tensor.atan2_ Tensor.copysign_ Tensor.digamma_ Tensor.erf_ Tensor.erfc_
Tensor.erfinv_ Tensor.i0_ Tensor.lgamma_ Tensor.logit_ Tensor.mvlgamma_ Tensor.polygamma_
Tensor.xlogy_ alpha_dropout dropout feature_alpha_dropout feature_dropout
nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d
nn.functional.gaussian_nll_loss nn.functional.scaled_dot_product_attention
""",
    "= = !N !R|=|=|=|= !N": """
nn.functional.hardtanh nn.functional.hardtanh_ threshold threshold_
""",
    "= = !N = !N": """
Tensor.ceil_ Tensor.fix_ Tensor.floor_ Tensor.geometric_ Tensor.round_ Tensor.trunc_
array_api.ceil array_api.floor array_api.remainder array_api.trunc ceil fix floor max_pool3d
median nanmedian nn.functional.relu6 rnn_relu rnn_relu_cell round special.round trunc
""",
    "= = !N = !R": """
Tensor.clamp_ Tensor.clamp_max_ Tensor.clamp_min_ Tensor.clip_ Tensor.div_ Tensor.divide_
Tensor.floor_divide_ Tensor.fmod_ Tensor.random_ Tensor.relu_ Tensor.remainder_
hinge_embedding_loss nn.functional.hinge_embedding_loss nn.functional.relu relu
""",
    "= = !N = =": """
Tensor.ge_ Tensor.greater_ Tensor.greater_equal_ Tensor.gt_ Tensor.le_ Tensor.less_
Tensor.less_equal_ Tensor.lt_ Tensor.scatter_reduce_ Tensor.sign_ amax amin aminmax
array_api.clip array_api.max array_api.min scatter_reduce sign unique_consecutive
""",
    "= = !N = l": """
array_api.floor_divide clamp clamp_max clamp_min clip div divide floor_divide fmod remainder
""",
    "= = !N =|!N|!N|!N|!N !N": """
nn.functional.upsample nn.functional.upsample_bilinear nn.functional.upsample_nearest
""",
    "= = !N F !R": """
margin_ranking_loss mvlgamma nn.functional.margin_ranking_loss nn.functional.poisson_nll_loss
special.multigammaln
""",
    "= = !N F F": """
Tensor.polygamma arctan2 array_api.atan2 array_api.copysign atan2 copysign cosine_embedding_loss
digamma erf erfc erfinv i0 lgamma logit nn.functional.cosine_embedding_loss polygamma
special.entr special.erf special.gammaln special.i0e special.i1 special.i1e special.ndtr
special.xlog1py xlogy
""",
    "= = !R !R !R": """
Tensor.cauchy_ Tensor.deg2rad_ Tensor.exponential_ Tensor.rad2deg_ cdist cosine_similarity
kl_div nanmean nn.functional.embedding_bag nn.functional.kl_div pdist
""",
    "= = !R = !N": """
Tensor.abs_ Tensor.absolute_
""",
    "= = !R = =": """
Tensor.heaviside_ array_api.maximum array_api.minimum array_api.sort fmax fmin heaviside maximum
minimum msort randint_like
""",
    "= = !R F F": """
deg2rad rad2deg
""",
    "= = !R l l": """
nansum
""",
    "= = !T = =": """
Tensor.map_
""",
    "= = !V !V !V": """
binomial nn.functional.affine_grid
""",
    "= = = !N !N": """
Tensor.lerp_ Tensor.normal_ Tensor.uniform_ array_api.logaddexp lerp logaddexp logcumsumexp
nn.functional.silu normal rand_like randn_like rms_norm
""",
    "= = = !N =": """
nn.functional.fold nn.functional.unfold
""",
    "= = = !N|!N|!N|!N|= !N": """
conv_transpose1d conv_transpose2d conv_transpose3d
""",
    "= = = !R !N": """
rnn_tanh
""",
    "= = = !R !R": """
Tensor.acos_ Tensor.acosh_ Tensor.addcdiv_ Tensor.arccos_ Tensor.arccosh_ Tensor.arcsin_
Tensor.arcsinh_ Tensor.arctan_ Tensor.arctanh_ Tensor.asin_ Tensor.asinh_ Tensor.atan_
Tensor.atanh_ Tensor.cos_ Tensor.cosh_ Tensor.exp2_ Tensor.exp_ Tensor.expm1_ Tensor.ldexp_
Tensor.log10_ Tensor.log1p_ Tensor.log2_ Tensor.log_ Tensor.reciprocal_ Tensor.renorm_
Tensor.rsqrt_ Tensor.sigmoid_ Tensor.sin_ Tensor.sinc_ Tensor.sinh_ Tensor.sqrt_ Tensor.tan_
Tensor.tanh_ Tensor.true_divide_ addcdiv array_api.mean embedding_renorm_ linalg.vecdot
matrix_exp mean nn.functional.normalize nn.functional.soft_margin_loss renorm
""",
    "= = = !R|F|F|F|F !R": """
gradient
""",
    "= = = !T !N": """
gru gru_cell lstm lstm_cell
""",
    "= = = = !N": """
Tensor.addbmm_ Tensor.addcmul_ Tensor.addmm_ Tensor.addmv_ Tensor.baddbmm_ addbmm addcmul addmm
addmv affine_grid_generator array_api.linalg.matrix_power array_api.matmul array_api.pow
array_api.round array_api.tensordot baddbmm bilinear bmm chain_matmul conv1d conv2d conv3d
conv_tbc convolution dot einsum inner linalg.matmul linalg.multi_dot matmul matrix_power mm mv
nn.functional.linear tensordot vdot
""",
    "= = = = !R": """
Tensor.cumprod_ Tensor.cumsum_ Tensor.neg_ Tensor.negative_ Tensor.pow_ Tensor.square_
Tensor.sub_ Tensor.subtract_ array_api.linalg.cross array_api.negative array_api.subtract cross
linalg.cross neg negative positive rsub sub subtract
""",
    "= = = = =": """
Tensor.add_ Tensor.addr_ Tensor.apply_ Tensor.bernoulli_ Tensor.conj_physical_ Tensor.contiguous
Tensor.copy_ Tensor.cpu Tensor.eq_ Tensor.expand Tensor.expand_as Tensor.fill_
Tensor.fill_diagonal_ Tensor.index_add_ Tensor.index_copy_ Tensor.index_fill_
Tensor.index_reduce_ Tensor.logical_and_ Tensor.logical_not_ Tensor.logical_or_
Tensor.logical_xor_ Tensor.map2_ Tensor.masked_fill_ Tensor.masked_scatter_ Tensor.mul_
Tensor.multiply_ Tensor.nan_to_num_ Tensor.ne_ Tensor.new Tensor.new_empty
Tensor.new_empty_strided Tensor.new_full Tensor.new_ones Tensor.new_tensor Tensor.new_zeros
Tensor.not_equal_ Tensor.put_ Tensor.repeat Tensor.reshape_as Tensor.resize Tensor.resize_
Tensor.resize_as Tensor.scatter_ Tensor.scatter_add_ Tensor.sgn_ Tensor.share_memory_
Tensor.sparse_mask Tensor.squeeze_ Tensor.swapaxes_ Tensor.swapdims_ Tensor.t_ Tensor.to_sparse
Tensor.to_sparse_coo Tensor.transpose_ Tensor.tril_ Tensor.triu_ Tensor.unfold Tensor.unsqueeze_
Tensor.view_as Tensor.where Tensor.zero_ _standard_gamma_grad add addr adjoint alias_copy
array_api.add array_api.broadcast_arrays array_api.broadcast_to array_api.concat array_api.conj
array_api.diff array_api.empty_like array_api.expand_dims array_api.fft.fftshift
array_api.fft.ifftshift array_api.flip array_api.full_like array_api.linalg.diagonal
array_api.linalg.outer array_api.matrix_transpose array_api.meshgrid array_api.moveaxis
array_api.multiply array_api.ones_like array_api.permute_dims array_api.positive
array_api.repeat array_api.reshape array_api.roll array_api.sign array_api.squeeze
array_api.stack array_api.take array_api.take_along_axis array_api.tile array_api.tril
array_api.triu array_api.unique_values array_api.unstack array_api.vecdot array_api.zeros_like
as_strided as_strided_ as_strided_copy as_strided_scatter atleast_1d atleast_2d atleast_3d
block_diag broadcast_tensors broadcast_to cartesian_prod cat channel_shuffle chunk clone
column_stack combinations concat concatenate conj conj_physical constant_pad_nd detach_copy diag
diag_embed diagflat diagonal diagonal_copy diagonal_scatter diff dsplit dstack embedding
empty_like expand_copy fft.fftshift fft.ifftshift fill flatten flip fliplr flipud full_like
gather ger hsplit hstack index_add index_copy index_fill index_put index_put_ index_reduce
index_select kron linalg.diagonal lu_unpack masked_fill masked_scatter masked_select meshgrid
moveaxis movedim mul multiply nan_to_num narrow narrow_copy native_channel_shuffle
native_dropout_backward nn.functional.embedding nn.functional.pad ones_like outer permute
permute_copy pixel_shuffle pixel_unshuffle put ravel repeat_interleave reshape resize_as_
resolve_conj resolve_neg roll rot90 row_stack scatter scatter_add select select_copy
select_scatter sgn slice_copy slice_scatter sparse.spdiags split split_copy split_with_sizes
split_with_sizes_copy squeeze squeeze_copy stack swapaxes swapdims t t_copy take take_along_dim
tensor_split tile transpose transpose_copy tril triu unbind unbind_copy unflatten unfold_copy
unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy view_copy vsplit
vstack where zeros_like
""",
    "= = = = l": """
array_api.square array_api.where pow square
""",
    "= = = F !N": """
nn.functional.softsign rnn_tanh_cell
""",
    "= = = F !R": """
corrcoef cov cumulative_trapezoid nn.functional.tanhshrink poisson_nll_loss trapezoid trapz
""",
    "= = = F F": """
acos acosh arccos arccosh arcsin arcsinh arctan arctanh array_api.acos array_api.acosh
array_api.asin array_api.asinh array_api.atan array_api.atanh array_api.cos array_api.cosh
array_api.divide array_api.exp array_api.expm1 array_api.log array_api.log10 array_api.log1p
array_api.log2 array_api.reciprocal array_api.sin array_api.sinh array_api.sqrt array_api.tan
array_api.tanh asin asinh atan atanh cos cosh exp exp2 expm1 ldexp log log10 log1p log2
logsumexp reciprocal rsqrt sigmoid sin sinc sinh special.exp2 special.expit special.expm1
special.log1p sqrt tan tanh true_divide
""",
    "= = = U|l|l|l|= l": """
array_api.cumulative_prod array_api.cumulative_sum array_api.linalg.trace array_api.prod
array_api.sum
""",
    "= = = l l": """
Tensor.sum_to_size cumprod cumsum prod sum
""",
    "= = r !R !R": """
array_api.linalg.matrix_norm array_api.linalg.vector_norm array_api.std array_api.var dist
frobenius_norm linalg.matrix_norm linalg.vector_norm nn.functional.l1_loss norm norm_except_dim
std var
""",
    "= = r = !N": """
abs absolute array_api.abs
""",
    "= = r = =": """
array_api.imag array_api.real real
""",
    "= = r F !R": """
nn.functional.triplet_margin_loss nn.functional.triplet_margin_with_distance_loss
pairwise_distance triplet_margin_loss
""",
    "= = r F F": """
angle
""",
    "= = r= !R !R": """
std_mean var_mean
""",
    "= =|!R !R !R !R": """
nn.functional.grouped_mm
""",
    "=b =b !N !R !R": """
native_dropout
""",
    "=i =i !R !R !R": """
frexp
""",
    "=l =l !N !N !N": """
adaptive_max_pool1d max_pool1d_with_indices nn.functional.adaptive_max_pool1d_with_indices
nn.functional.adaptive_max_pool2d_with_indices nn.functional.adaptive_max_pool3d_with_indices
nn.functional.fractional_max_pool2d_with_indices
nn.functional.fractional_max_pool3d_with_indices
""",
    "=l =l !N =l !N": """
kthvalue max_pool2d nn.functional.max_pool2d_with_indices nn.functional.max_pool3d_with_indices
""",
    "=l =l !N =l =l": """
cummax cummin mode unique
""",
    "=l =l !R !R !R": """
embedding_bag
""",
    "=l =l !R =l !R": """
topk
""",
    "=l =l !R =l =l": """
max min sort
""",
    "=l =l =l =l =l": """
array_api.unique_all array_api.unique_counts array_api.unique_inverse
""",
    "U U !N U U": """
hash_tensor
""",
    "b b !N b b": """
array_api.greater array_api.greater_equal array_api.less array_api.less_equal array_api.signbit
ge greater greater_equal gt le less less_equal lt signbit
""",
    "b b !R b !N": """
array_api.isin
""",
    "b b !R b !R": """
isin
""",
    "b b !R b b": """
isneginf isposinf
""",
    "b b b =|b|b|b|b =": """
all any
""",
    "b b b b b": """
Tensor.bool array_api.all array_api.any array_api.equal array_api.isfinite array_api.isinf
array_api.isnan array_api.logical_and array_api.logical_not array_api.logical_or
array_api.logical_xor array_api.not_equal eq isclose isfinite isinf isnan isreal logical_and
logical_not logical_or logical_xor ne not_equal
""",
    "c c c c c": """
Tensor.cfloat
""",
    "d d d d d": """
Tensor.double
""",
    "d d z d d": """
float_power
""",
    "dtype !N !N !N !N|!N|!N|=|= !N": """
tril_indices triu_indices
""",
    "dtype !T !T !T !T !T": """
array_api.isdtype
""",
    "dtype !V = !V !V !V": """
signal.windows.bartlett signal.windows.blackman signal.windows.cosine signal.windows.exponential
signal.windows.gaussian signal.windows.general_cosine signal.windows.general_hamming
signal.windows.hamming signal.windows.hann signal.windows.kaiser signal.windows.nuttall
""",
    "dtype = = !N !R !R": """
sparse.log_softmax sparse.softmax
""",
    "dtype = = !N = !N": """
arange array_api.arange randperm
""",
    "dtype = = !R !R !R": """
bartlett_window blackman_window hamming_window hann_window kaiser_window
""",
    "dtype = = !R = !R": """
randint
""",
    "dtype = = = !N !N": """
rand randn
""",
    "dtype = = = !R !R": """
array_api.fft.fftfreq array_api.fft.rfftfreq fft.fftfreq fft.rfftfreq
""",
    "dtype = = = = !N": """
array_api.linspace linspace logspace
""",
    "dtype = = = = =": """
Tensor.to_dense array_api.asarray array_api.empty array_api.eye array_api.full array_api.ones
array_api.zeros as_tensor asarray empty empty_permuted empty_strided eye full ones range
scalar_tensor sparse_coo_tensor zeros
""",
    "dtype = = = l l": """
sparse.sum
""",
    "f f f f f": """
Tensor.float
""",
    "g g g g g": """
Tensor.bfloat16
""",
    "h h h h h": """
Tensor.half
""",
    "i i i i i": """
Tensor.int
""",
    "l l !N l !N": """
array_api.searchsorted bucketize searchsorted
""",
    "l l !R !R !R": """
multinomial
""",
    "l l !R l !R": """
argmax argmin array_api.argmax array_api.argmin
""",
    "l l !R l l": """
argsort array_api.argsort
""",
    "l l l l l": """
Tensor.long argwhere array_api.count_nonzero array_api.nonzero count_nonzero nonzero
nonzero_static
""",
    "s s s s s": """
Tensor.short
""",
    "t t t t t": """
Tensor.char
""",
    "u u u u u": """
Tensor.byte
""",
    "z z z z z": """
Tensor.cdouble
""",
}

SHAPES = {
    "broadcast": """
_dirichlet_grad _standard_gamma_grad add addcdiv addcmul arctan2 array_api.add array_api.atan2
array_api.bitwise_and array_api.bitwise_left_shift array_api.bitwise_or
array_api.bitwise_right_shift array_api.bitwise_xor array_api.clip array_api.copysign
array_api.divide array_api.equal array_api.greater array_api.greater_equal array_api.hypot
array_api.less array_api.less_equal array_api.logaddexp array_api.logical_and
array_api.logical_or array_api.logical_xor array_api.maximum array_api.minimum
array_api.multiply array_api.nextafter array_api.not_equal array_api.pow array_api.remainder
array_api.subtract atan2 binomial bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift
bitwise_xor complex copysign eq fmax fmin gcd heaviside hinge_embedding_loss hypot igamma
igammac isclose kron lcm ldexp lerp logaddexp logaddexp2 logical_and logical_or logical_xor
maximum minimum mul multiply ne nextafter nn.functional.hinge_embedding_loss
nn.functional.huber_loss nn.functional.smooth_l1_loss not_equal poisson_nll_loss polar
special.gammainc special.gammaincc special.xlog1py sub subtract xlogy
""",
    "each": """
Tensor.abs_ Tensor.absolute_ Tensor.acos_ Tensor.acosh_ Tensor.apply_ Tensor.arccos_
Tensor.arccosh_ Tensor.arcsin_ Tensor.arcsinh_ Tensor.arctan_ Tensor.arctanh_ Tensor.asin_
Tensor.asinh_ Tensor.atan_ Tensor.atanh_ Tensor.bernoulli_ Tensor.bfloat16 Tensor.bitwise_not_
Tensor.bool Tensor.byte Tensor.cauchy_ Tensor.cdouble Tensor.ceil_ Tensor.cfloat Tensor.char
Tensor.clamp_ Tensor.clamp_max_ Tensor.clamp_min_ Tensor.clip_ Tensor.conj_physical_
Tensor.contiguous Tensor.cos_ Tensor.cosh_ Tensor.cpu Tensor.cumprod_ Tensor.cumsum_
Tensor.deg2rad_ Tensor.digamma_ Tensor.div_ Tensor.divide_ Tensor.double Tensor.erf_
Tensor.erfc_ Tensor.erfinv_ Tensor.exp2_ Tensor.exp_ Tensor.expm1_ Tensor.exponential_
Tensor.fill_ Tensor.fix_ Tensor.float Tensor.float_power_ Tensor.floor_ Tensor.floor_divide_
Tensor.fmod_ Tensor.frac_ Tensor.ge_ Tensor.geometric_ Tensor.greater_ Tensor.greater_equal_
Tensor.gt_ Tensor.half Tensor.i0_ Tensor.int Tensor.le_ Tensor.less_ Tensor.less_equal_
Tensor.lgamma_ Tensor.log10_ Tensor.log1p_ Tensor.log2_ Tensor.log_ Tensor.log_normal_
Tensor.logical_not_ Tensor.logit_ Tensor.long Tensor.lt_ Tensor.mvlgamma_ Tensor.nan_to_num_
Tensor.neg_ Tensor.negative_ Tensor.normal_ Tensor.polygamma Tensor.polygamma_ Tensor.pow_
Tensor.rad2deg_ Tensor.random_ Tensor.reciprocal_ Tensor.relu_ Tensor.remainder_ Tensor.round_
Tensor.rsqrt_ Tensor.sgn_ Tensor.share_memory_ Tensor.short Tensor.sigmoid_ Tensor.sign_
Tensor.sin_ Tensor.sinc_ Tensor.sinh_ Tensor.sqrt_ Tensor.square_ Tensor.squeeze_ Tensor.tan_
Tensor.tanh_ Tensor.true_divide_ Tensor.trunc_ Tensor.uniform_ Tensor.zero_ _sample_dirichlet
_standard_gamma abs absolute acos acosh alias_copy alpha_dropout angle arccos arccosh arcsin
arcsinh arctan arctanh argsort array_api.abs array_api.acos array_api.acosh array_api.argsort
array_api.asin array_api.asinh array_api.atan array_api.atanh array_api.bitwise_invert
array_api.ceil array_api.conj array_api.cos array_api.cosh array_api.empty_like array_api.exp
array_api.expm1 array_api.fft.fftshift array_api.fft.ifftshift array_api.floor
array_api.floor_divide array_api.full_like array_api.imag array_api.isfinite array_api.isinf
array_api.isnan array_api.log array_api.log10 array_api.log1p array_api.log2
array_api.logical_not array_api.negative array_api.ones_like array_api.positive array_api.real
array_api.reciprocal array_api.roll array_api.round array_api.sign array_api.signbit
array_api.sin array_api.sinh array_api.sort array_api.sqrt array_api.square array_api.tan
array_api.tanh array_api.trunc array_api.zeros_like asin asinh atan atanh bernoulli bitwise_not
ceil celu celu_ clamp clamp_max clamp_min clip clone conj conj_physical cos cosh cumprod cumsum
deg2rad detach_copy digamma div divide dropout empty_like erf erfc erfinv exp exp2 expm1
fft.fftshift fft.ifftshift fill fix flip float_power floor floor_divide fmod frac full_like ge
greater greater_equal gt hardshrink i0 imag isfinite isinf isnan isneginf isposinf isreal le
less less_equal lgamma log log10 log1p log2 log_softmax logcumsumexp logical_not logit lt msort
mvlgamma nan_to_num neg negative nn.functional.elu nn.functional.elu_ nn.functional.gelu
nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh nn.functional.hardtanh_
nn.functional.leaky_relu nn.functional.leaky_relu_ nn.functional.log_softmax
nn.functional.logsigmoid nn.functional.mish nn.functional.relu nn.functional.relu6
nn.functional.silu nn.functional.softmax nn.functional.softmin nn.functional.softplus
nn.functional.softshrink nn.functional.softsign nn.functional.tanhshrink normal ones_like
poisson polygamma positive pow rad2deg rand_like randint_like randn_like real reciprocal relu
remainder resolve_conj resolve_neg roll round rrelu rrelu_ rsqrt rsub selu selu_ sgn sigmoid
sign signbit sin sinc sinh softmax special.airy_ai special.bessel_j0 special.bessel_j1
special.bessel_y0 special.bessel_y1 special.chebyshev_polynomial_t
special.chebyshev_polynomial_u special.chebyshev_polynomial_v special.chebyshev_polynomial_w
special.entr special.erf special.erfcx special.exp2 special.expit special.expm1 special.gammaln
special.hermite_polynomial_h special.hermite_polynomial_he special.i0e special.i1 special.i1e
special.laguerre_polynomial_l special.legendre_polynomial_p special.log1p special.log_ndtr
special.log_softmax special.modified_bessel_i0 special.modified_bessel_i1
special.modified_bessel_k0 special.modified_bessel_k1 special.multigammaln special.ndtr
special.ndtri special.round special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1
special.shifted_chebyshev_polynomial_t special.shifted_chebyshev_polynomial_u
special.shifted_chebyshev_polynomial_v special.shifted_chebyshev_polynomial_w special.softmax
special.spherical_bessel_j0 special.zeta sqrt square tan tanh threshold threshold_ true_divide
trunc zeros_like
""",
}

ERRORS = {
    "dim IndexError": """
all amax amin aminmax any argmax argmin argsort cat chunk concat concatenate cosine_similarity
count_nonzero cross cummax cummin cumprod cumsum cumulative_trapezoid diff fft.fft fft.fft2
fft.fftn fft.fftshift fft.hfft fft.hfft2 fft.hfftn fft.ifft fft.ifft2 fft.ifftn fft.ifftshift
fft.ihfft fft.ihfft2 fft.ihfftn fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn
frobenius_norm gather gradient hash_tensor index_add index_copy index_fill index_reduce
index_select kthvalue linalg.cross linalg.vecdot linalg.vector_norm log_softmax logcumsumexp
logsumexp max mean median min mode nanmean nanmedian nanquantile nansum narrow nn.functional.glu
nn.functional.gumbel_softmax nn.functional.log_softmax nn.functional.normalize
nn.functional.softmax nn.functional.softmin norm_except_dim prod quantile renorm
repeat_interleave scatter scatter_add scatter_reduce select select_copy select_scatter
slice_copy slice_scatter softmax sort special.log_softmax special.softmax split split_copy
split_with_sizes split_with_sizes_copy squeeze squeeze_copy stack std std_mean sum
take_along_dim tensor_split topk trapezoid trapz unbind unbind_copy unflatten unique
unique_consecutive unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy
var var_mean
""",
    "dim RuntimeError": """
linalg.matrix_norm linalg.norm narrow_copy nuclear_norm
""",
    "kind TypeError": """
acos acosh adjoint alias_copy angle arccos arccosh arcsin arcsinh arctan arctanh argwhere
array_api.acos array_api.acosh array_api.asin array_api.asinh array_api.atan array_api.atanh
array_api.broadcast_to array_api.concat array_api.conj array_api.cos array_api.cosh
array_api.diff array_api.empty_like array_api.exp array_api.fft.fftshift array_api.fft.ifftshift
array_api.full_like array_api.isfinite array_api.isinf array_api.isnan array_api.linalg.outer
array_api.log array_api.log10 array_api.log1p array_api.log2 array_api.logical_not
array_api.moveaxis array_api.ones_like array_api.real array_api.reciprocal array_api.repeat
array_api.result_type array_api.roll array_api.sign array_api.sin array_api.sinh array_api.sqrt
array_api.square array_api.tan array_api.tanh array_api.tile array_api.where
array_api.zeros_like asin asinh atan atanh atleast_1d atleast_2d atleast_3d block_diag
broadcast_tensors broadcast_to cartesian_prod clone conj conj_physical cos cosh detach_copy
diagflat embedding empty_like equal exp exp2 expand_copy expm1 fill flip float_power full_like
ger get_device hstack is_conj is_neg is_nonzero is_same_size is_signed isfinite isinf isnan
isreal kron log log10 log1p log2 logical_not lu_unpack masked_fill masked_select meshgrid
moveaxis movedim nan_to_num nn.functional.embedding nonzero nonzero_static ones_like outer pow
real reciprocal resize_as_ resolve_conj resolve_neg roll rsqrt sgn sigmoid sin sinc sinh
sparse.spdiags special.exp2 special.expit special.expm1 special.log1p sqrt square swapaxes
swapdims t_copy take tan tanh tile transpose true_divide where zeros_like
""",
    "number IndexError": """
Tensor.swapaxes_ Tensor.swapdims_ Tensor.transpose_ affine_grid_generator all amax amin any
argmax argmin array_api.all array_api.any array_api.argmax array_api.count_nonzero
array_api.cumulative_sum array_api.fft.fft array_api.fft.hfft array_api.fft.ifft
array_api.fft.ihfft array_api.fft.irfft array_api.fft.rfft array_api.flip
array_api.linalg.diagonal array_api.linalg.trace array_api.linalg.vector_norm
array_api.matrix_transpose array_api.max array_api.mean array_api.min array_api.permute_dims
array_api.prod array_api.squeeze array_api.std array_api.sum array_api.unstack batch_norm
cumulative_trapezoid diagonal diagonal_copy fft.fft fft.fft2 fft.hfft fft.hfft2 fft.ifft
fft.ifft2 fft.ihfft fft.ihfft2 fft.irfft fft.irfft2 fft.rfft fft.rfft2 flatten instance_norm
linalg.diagonal lobpcg max mean min nn.functional.instance_norm nn.functional.normalize permute
permute_copy select select_copy std sum transpose_copy trapezoid trapz unbind unbind_copy
unflatten
""",
    "number NotImplementedError": """
nn.functional.interpolate nn.functional.upsample nn.functional.upsample_nearest
""",
    "number RuntimeError": """
Tensor.expand Tensor.fill_diagonal_ Tensor.renorm_ Tensor.resize Tensor.sum_to_size
Tensor.to_sparse Tensor.to_sparse_coo Tensor.tril_ Tensor.triu_ Tensor.unfold
adaptive_avg_pool1d adaptive_max_pool1d array_api.fft.irfftn array_api.fft.rfftn
array_api.linalg.cholesky array_api.linalg.det array_api.linalg.eig array_api.linalg.eigh
array_api.linalg.eigvals array_api.linalg.eigvalsh array_api.linalg.inv
array_api.linalg.matrix_norm array_api.linalg.matrix_power array_api.linalg.matrix_rank
array_api.linalg.pinv array_api.linalg.qr array_api.linalg.slogdet array_api.linalg.svd
array_api.linalg.svdvals array_api.reshape array_api.tril array_api.triu as_strided as_strided_
as_strided_copy avg_pool1d bincount channel_shuffle cholesky cholesky_inverse chunk combinations
constant_pad_nd det diag diag_embed diff dsplit feature_alpha_dropout feature_dropout fft.hfftn
fft.ihfftn fft.irfftn fft.rfftn fliplr flipud geqrf group_norm histogramdd hsplit inverse
kthvalue layer_norm linalg.cholesky linalg.cholesky_ex linalg.cond linalg.eig linalg.eigh
linalg.eigvals linalg.eigvalsh linalg.inv linalg.inv_ex linalg.ldl_factor linalg.ldl_factor_ex
linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.matrix_norm linalg.matrix_rank linalg.norm
linalg.pinv linalg.qr linalg.slogdet linalg.svd linalg.svdvals linalg.vander logdet lu
matrix_exp matrix_power max_pool1d max_pool1d_with_indices max_pool2d max_pool3d multinomial
narrow narrow_copy native_batch_norm native_channel_shuffle native_group_norm native_layer_norm
nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool1d_with_indices
nn.functional.adaptive_max_pool2d_with_indices nn.functional.adaptive_max_pool3d
nn.functional.adaptive_max_pool3d_with_indices nn.functional.avg_pool2d nn.functional.avg_pool3d
nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d nn.functional.fold
nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool2d_with_indices
nn.functional.fractional_max_pool3d nn.functional.fractional_max_pool3d_with_indices
nn.functional.glu nn.functional.group_norm nn.functional.layer_norm nn.functional.lp_pool1d
nn.functional.lp_pool2d nn.functional.lp_pool3d nn.functional.max_pool2d_with_indices
nn.functional.max_pool3d_with_indices nn.functional.pad nn.functional.unfold nuclear_norm pdist
pinverse pixel_shuffle pixel_unshuffle qr renorm reshape rot90 slice_copy slogdet split
split_copy split_with_sizes split_with_sizes_copy svd tensor_split topk tril triu unfold_copy
unsafe_chunk unsafe_split unsafe_split_with_sizes vander view_as_complex view_as_complex_copy
view_copy vsplit
""",
    "number ValueError": """
array_api.nonzero nn.functional.adaptive_max_pool2d nn.functional.affine_grid
nn.functional.local_response_norm nn.functional.upsample_bilinear pca_lowrank rms_norm
svd_lowrank
""",
    "shapes IndexError": """
Tensor.index_copy_ Tensor.put_ index_copy put
""",
    "shapes RuntimeError": """
Tensor.add_ Tensor.addbmm_ Tensor.addcdiv_ Tensor.addcmul_ Tensor.addmm_ Tensor.addmv_
Tensor.addr_ Tensor.arctan2_ Tensor.atan2_ Tensor.baddbmm_ Tensor.bitwise_and_
Tensor.bitwise_left_shift_ Tensor.bitwise_or_ Tensor.bitwise_right_shift_ Tensor.bitwise_xor_
Tensor.copy_ Tensor.copysign_ Tensor.eq_ Tensor.expand_as Tensor.gcd_ Tensor.heaviside_
Tensor.hypot_ Tensor.igamma_ Tensor.igammac_ Tensor.index_add_ Tensor.index_reduce_ Tensor.lcm_
Tensor.ldexp_ Tensor.lerp_ Tensor.logical_and_ Tensor.logical_or_ Tensor.logical_xor_
Tensor.masked_fill_ Tensor.masked_scatter_ Tensor.mul_ Tensor.multiply_ Tensor.ne_
Tensor.nextafter_ Tensor.not_equal_ Tensor.reshape_as Tensor.resize_as Tensor.scatter_
Tensor.scatter_add_ Tensor.scatter_reduce_ Tensor.sub_ Tensor.subtract_ Tensor.view_as
Tensor.xlogy_ add addbmm addcdiv addcmul addmm addmv addr allclose arctan2 array_api.add
array_api.atan2 array_api.bitwise_and array_api.bitwise_left_shift array_api.bitwise_or
array_api.bitwise_right_shift array_api.bitwise_xor array_api.broadcast_arrays array_api.clip
array_api.copysign array_api.divide array_api.equal array_api.greater array_api.greater_equal
array_api.hypot array_api.less array_api.less_equal array_api.linalg.solve array_api.logaddexp
array_api.logical_and array_api.logical_or array_api.logical_xor array_api.matmul
array_api.maximum array_api.minimum array_api.multiply array_api.nextafter array_api.not_equal
array_api.pow array_api.remainder array_api.stack array_api.subtract array_api.tensordot
as_strided_scatter atan2 baddbmm bilinear bitwise_and bitwise_left_shift bitwise_or
bitwise_right_shift bitwise_xor bmm cat cdist chain_matmul cholesky_solve column_stack concat
concatenate conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d
convolution copysign cosine_embedding_loss cosine_similarity cross ctc_loss diagonal_scatter
dist dot dstack einsum eq fmax fmin gcd grid_sampler grid_sampler_2d grid_sampler_3d gru
gru_cell heaviside hinge_embedding_loss hypot igamma igammac index_add index_put index_put_
index_reduce inner isclose istft kl_div lcm ldexp lerp linalg.cross linalg.householder_product
linalg.ldl_solve linalg.lstsq linalg.lu_solve linalg.matmul linalg.multi_dot linalg.solve
linalg.solve_ex linalg.solve_triangular linalg.tensorsolve linalg.vecdot logaddexp logaddexp2
logical_and logical_or logical_xor lstm lstm_cell lu_solve margin_ranking_loss matmul maximum
minimum mm mul multiply mv ne nn.functional.batch_norm nn.functional.cosine_embedding_loss
nn.functional.ctc_loss nn.functional.grid_sample nn.functional.grouped_mm
nn.functional.hinge_embedding_loss nn.functional.huber_loss nn.functional.kl_div
nn.functional.l1_loss nn.functional.linear nn.functional.linear_cross_entropy
nn.functional.margin_ranking_loss nn.functional.mse_loss nn.functional.multi_margin_loss
nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
nn.functional.scaled_dot_product_attention nn.functional.smooth_l1_loss
nn.functional.soft_margin_loss nn.functional.triplet_margin_loss
nn.functional.triplet_margin_with_distance_loss not_equal orgqr ormqr pairwise_distance
poisson_nll_loss prelu rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell row_stack select_scatter
slice_scatter special.gammainc special.gammaincc special.xlog1py stack stft sub subtract
tensordot triangular_solve triplet_margin_loss vdot vstack xlogy
""",
    "shapes ValueError": """
Tensor.map2_ Tensor.map_ array_api.linalg.cross array_api.vecdot
binary_cross_entropy_with_logits nn.functional.binary_cross_entropy
nn.functional.binary_cross_entropy_with_logits nn.functional.cross_entropy
nn.functional.nll_loss
""",
    "types RuntimeError": """
Tensor.addbmm_ Tensor.addmm_ Tensor.addmv_ Tensor.baddbmm_ Tensor.heaviside_ Tensor.index_add_
Tensor.index_copy_ Tensor.index_reduce_ Tensor.lerp_ Tensor.masked_scatter_ Tensor.put_
Tensor.scatter_ Tensor.scatter_add_ Tensor.scatter_reduce_ _dirichlet_grad _standard_gamma_grad
addbmm addmm addmv allclose baddbmm bilinear binomial bmm cdist chain_matmul cholesky_solve
complex conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d
convolution einsum grid_sampler grid_sampler_2d grid_sampler_3d gru gru_cell heaviside index_add
index_copy index_put index_put_ index_reduce inner isclose lerp linalg.householder_product
linalg.ldl_solve linalg.lstsq linalg.lu_solve linalg.matmul linalg.multi_dot linalg.solve
linalg.solve_ex linalg.solve_triangular linalg.tensorsolve linalg.vecdot lstm_cell lu_solve
masked_scatter matmul mm mv nn.functional.batch_norm nn.functional.binary_cross_entropy
nn.functional.grid_sample nn.functional.grouped_mm nn.functional.linear
nn.functional.linear_cross_entropy nn.functional.multi_head_attention_forward
nn.functional.scaled_dot_product_attention orgqr ormqr polar prelu put quantile rnn_relu
rnn_relu_cell rnn_tanh rnn_tanh_cell scatter scatter_add scatter_reduce tensordot
triangular_solve
""",
    "types TypeError": """
Tensor.map2_ Tensor.map_
""",
    "types promote": """
add addcdiv addcmul addr arctan2 array_api.atan2 array_api.concat array_api.copysign
array_api.hypot array_api.linalg.solve array_api.logaddexp array_api.nextafter
array_api.tensordot atan2 binary_cross_entropy_with_logits cat concat concatenate copysign
cosine_embedding_loss cosine_similarity dist fmax fmin hypot igamma igammac kl_div logaddexp
logaddexp2 margin_ranking_loss nextafter nn.functional.binary_cross_entropy_with_logits
nn.functional.cosine_embedding_loss nn.functional.gaussian_nll_loss nn.functional.huber_loss
nn.functional.kl_div nn.functional.l1_loss nn.functional.margin_ranking_loss
nn.functional.mse_loss nn.functional.multilabel_soft_margin_loss nn.functional.poisson_nll_loss
nn.functional.smooth_l1_loss nn.functional.soft_margin_loss nn.functional.triplet_margin_loss
nn.functional.triplet_margin_with_distance_loss pairwise_distance poisson_nll_loss
special.gammainc special.gammaincc special.xlog1py triplet_margin_loss xlogy
""",
}
